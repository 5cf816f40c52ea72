using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Skein.Serving;

/// <summary>
/// Requests that break because their client left or this server stops are no errors of the program: the server would log each with a stack. They are logged
/// for debugging, and their connection is closed.
/// </summary>
public static partial class BrokenRequests
{
    /// <summary>Goes first.</summary>
    public static void UseQuietEnds(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        var stopping = app.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        var logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(BrokenRequests).FullName!);
        app.Use(next => http =>
        {
            var request = next(http);
            return request.IsCompletedSuccessfully ? request : EndAsync(request, http, logger, stopping);
        });
    }

    private static async Task EndAsync(Task request, HttpContext http, ILogger logger, CancellationToken stopping)
    {
        try
        {
            await request;
        }
        catch (Exception broken) when (
            http.RequestAborted.IsCancellationRequested || stopping.IsCancellationRequested
            || broken is ObjectDisposedException { ObjectName: nameof(IServiceProvider) })
        {
            LogBroken(logger, http.Request.Path, broken);
            http.Abort();
        }
    }

    [LoggerMessage(2015, LogLevel.Debug, "A request for {Path} broke: its client is gone, or this server stops")]
    private static partial void LogBroken(ILogger logger, string path, Exception exception);
}
