using System.Net;

namespace Skein.Gateway;

/// <summary>The gateway cannot listen on an endpoint. The message is one line for the operator.</summary>
public sealed class GatewayBindException : Exception
{
    public GatewayBindException(GatewayOptions options, Exception innerException)
        : base($"cannot listen on {CulpritOf(options, innerException)}: {innerException.GetBaseException().Message}", innerException)
    {
    }

    // Kestrel names the address that failed in its own message only.
    private static string CulpritOf(GatewayOptions options, Exception error)
    {
        IPEndPoint[] endpoints = [options.Http, options.Grpc];
        return endpoints.FirstOrDefault(endpoint => error.Message.Contains($":{endpoint.Port}", StringComparison.Ordinal))?.ToString()
            ?? string.Join(" and ", endpoints.Select(endpoint => endpoint.ToString()));
    }
}
