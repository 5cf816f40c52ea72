using System.Net.Http.Headers;

namespace Skein.Load.Targets;

/// <summary>HTTP connections to the server under test.</summary>
internal static class TargetHttp
{
    /// <param name="key">API key to send; null: none.</param>
    /// <param name="tls">Null: the authorities of the system are trusted, and no certificate is shown.</param>
    public static HttpClient Create(string? key, ClientTls? tls)
    {
        var handler = new SocketsHttpHandler { EnableMultipleHttp2Connections = true, ConnectTimeout = TimeSpan.FromSeconds(10) };
        tls?.Apply(handler.SslOptions);
        var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        if (key is not null)
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http;
    }
}
