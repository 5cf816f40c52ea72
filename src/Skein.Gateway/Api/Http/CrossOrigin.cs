namespace Skein.Gateway.Api.Http;

/// <summary>
/// Lets web pages of configured origins use the APIs: answers preflight requests and marks every answer, errors and streams included. Administration and
/// metrics stay closed to them.
/// </summary>
internal static class CrossOrigin
{
    /// <summary>Stands for every origin.</summary>
    public const string Any = "*";

    private static readonly TimeSpan PreflightLifetime = TimeSpan.FromMinutes(10);

    private static readonly string[] Closed = ["/admin", "/metrics"];

    /// <param name="requestIdHeaders">Headers of dialects that carry the id of the request.</param>
    public static void AddApiCors(this IServiceCollection services, ApiOptions options, IEnumerable<string> requestIdHeaders)
    {
        if (options.CorsOrigins.Count == 0)
            return;
        services.AddCors(cors => cors.AddDefaultPolicy(policy =>
        {
            if (options.CorsOrigins.Contains(Any))
                policy.AllowAnyOrigin();
            else
                policy.WithOrigins([.. options.CorsOrigins]);
            policy.AllowAnyHeader().WithMethods(HttpMethods.Get, HttpMethods.Head, HttpMethods.Post)
                .WithExposedHeaders([
                    SkeinHeaders.RequestId, .. requestIdHeaders, SkeinHeaders.Replica, SkeinHeaders.Attempts, SkeinHeaders.ResumeTier,
                    "retry-after", "retry-after-ms",
                ])
                .SetPreflightMaxAge(PreflightLifetime);
        }));
    }

    public static void UseApiCors(this IApplicationBuilder app)
    {
        if (app.ApplicationServices.GetRequiredService<ApiOptions>().CorsOrigins.Count > 0)
            app.UseWhen(IsOpen, api => api.UseCors());
    }

    private static bool IsOpen(HttpContext http) =>
        !Array.Exists(Closed, path => http.Request.Path.StartsWithSegments(path, StringComparison.OrdinalIgnoreCase));
}
