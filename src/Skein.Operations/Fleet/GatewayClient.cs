using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skein.Gateway.Admin;

namespace Skein.Operations.Fleet;

/// <summary>A gateway, as the client verbs see it.</summary>
public sealed class GatewayClient : IDisposable
{
    private readonly HttpClient _http;
    private readonly Uri _address;

    public GatewayClient(Uri address)
    {
        _address = address;
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = address, Timeout = Timeout.InfiniteTimeSpan };
    }

    public async Task<IReadOnlyList<MemberRow>> MembersAsync(CancellationToken cancellationToken) =>
        await GetAsync<MemberRow[]>("/admin/v1/members", cancellationToken);

    /// <exception cref="GatewayRefusedException">It answered with an error.</exception>
    /// <exception cref="CommandFailedException">It does not answer, or not as a gateway.</exception>
    public Task<T> GetAsync<T>(string path, CancellationToken cancellationToken) =>
        AskAsync<T>(new HttpRequestMessage(HttpMethod.Get, path), TimeSpan.FromSeconds(10), cancellationToken);

    /// <summary>Posts JSON and reads the answer.</summary>
    /// <exception cref="GatewayRefusedException">It answered with an error.</exception>
    /// <exception cref="CommandFailedException">It does not answer, or not as a gateway.</exception>
    public Task<T> PostAsync<T>(string path, object body, CancellationToken cancellationToken) => AskAsync<T>(
        // A text tells its length, as the gateway's bound wants it.
        new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(JsonSerializer.Serialize(body, JsonSerializerOptions.Web), Encoding.UTF8, "application/json") },
        TimeSpan.FromSeconds(60),
        cancellationToken);

    /// <summary>True once the gateway says that it can serve.</summary>
    public async Task<bool> IsReadyAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _http.GetAsync(new Uri("/readyz", UriKind.Relative), cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    /// <summary>Posts JSON and returns as soon as the headers are there.</summary>
    public Task<HttpResponseMessage> PostAsync(string path, JsonObject body, CancellationToken cancellationToken) =>
        SendAsync(
            new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") },
            TimeSpan.FromMinutes(5),
            cancellationToken);

    public void Dispose() => _http.Dispose();

    private async Task<T> AskAsync<T>(HttpRequestMessage request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(request, timeout, cancellationToken);
        try
        {
            return await response.Content.ReadFromJsonAsync<T>(JsonSerializerOptions.Web, cancellationToken) ?? throw new JsonException("the answer is null");
        }
        catch (JsonException error)
        {
            throw new CommandFailedException($"{_address} does not answer as a gateway: {error.Message}", error);
        }
    }

    /// <exception cref="GatewayRefusedException">It answered with an error; the message is the gateway's own where it sent one.</exception>
    /// <exception cref="CommandFailedException">Nobody answers.</exception>
    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, TimeSpan headersTimeout, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(headersTimeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            if (response.IsSuccessStatusCode)
                return response;
            var body = await response.Content.ReadAsStringAsync(either.Token);
            throw GatewayRefusedException.From((int)response.StatusCode, body);
        }
        catch (HttpRequestException error) when (error.InnerException is SocketException socket)
        {
            throw new CommandFailedException($"no gateway answers at {_address} ({socket.SocketErrorCode}); start one with 'skein up', or name another with --gateway", error);
        }
        catch (HttpRequestException error)
        {
            throw new CommandFailedException($"{_address} does not answer as a gateway: {error.Message}", error);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            throw new CommandFailedException($"the gateway at {_address} did not answer within {headersTimeout.TotalSeconds:0} s");
        }
    }
}
