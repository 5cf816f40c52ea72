using System.Security.Cryptography;

namespace Skein.Gateway.Api.Http;

/// <summary>Names the tenant of a request by a hash of its credentials, which are never kept.</summary>
internal static class Tenant
{
    private const int HashBytes = 8;

    /// <param name="header">Returns a header's value by its name; null or empty if absent.</param>
    /// <returns>The tenant; empty without credentials.</returns>
    public static string Of(Func<string, string?> header)
    {
        var credentials = header("authorization") is { Length: > 0 } bearer ? bearer : header("x-api-key");
        if (string.IsNullOrEmpty(credentials))
            return "";
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(credentials), hash);
        return Convert.ToHexStringLower(hash[..HashBytes]);
    }
}
