using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skein.Load;

namespace Skein.Operations.Fleet;

/// <summary>HTTP client of one gateway: its admin API and its chat API. Thread-safe.</summary>
/// <remarks>
/// Every admin call throws <see cref="UsageException"/> if the gateway rejects the input, <see cref="GatewayRefusedException"/> if it answers with
/// another error, and <see cref="CommandFailedException"/> if no gateway answers.
/// </remarks>
/// <param name="key">API key to send; null: none.</param>
/// <param name="tls">Null: the authorities of the system are trusted, and no certificate is shown.</param>
public sealed class GatewayClient(Uri address, string? key = null, ClientTls? tls = null) : IDisposable
{
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan WriteTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ChatTimeout = TimeSpan.FromMinutes(5);

    private readonly HttpClient _http = Create(address, key, tls);

    public async Task<IReadOnlyList<MemberRow>> MembersAsync(CancellationToken cancellationToken) =>
        await GetAsync<MemberRow[]>("/admin/v1/members", cancellationToken);

    public Task<OverviewRow> OverviewAsync(CancellationToken cancellationToken) => GetAsync<OverviewRow>("/admin/v1/overview", cancellationToken);

    internal Task<CounterRow> CountersAsync(CancellationToken cancellationToken) => GetAsync<CounterRow>("/admin/v1/counters", cancellationToken);

    public Task<ReplicaRow> ReplicaAsync(string name, CancellationToken cancellationToken) => GetAsync<ReplicaRow>(PathOf(name), cancellationToken);

    public Task<ReplicaRow> DrainAsync(string name, TimeSpan grace, CancellationToken cancellationToken) =>
        PostAsync<ReplicaRow>(name, "drain", new DrainBody(grace.TotalSeconds), cancellationToken);

    public Task<ReplicaRow> UndrainAsync(string name, CancellationToken cancellationToken) =>
        PostAsync<ReplicaRow>(name, "undrain", new { }, cancellationToken);

    /// <summary>Restarts a replica that runs under <c>skein up</c>.</summary>
    internal Task RestartAsync(string name, string revision, CancellationToken cancellationToken) =>
        PostAsync<RestartBody>(name, "restart", new RestartBody(revision), cancellationToken);

    /// <summary>Requests one short answer from each model of a replica.</summary>
    internal Task<ProbeRow[]> ProbeAsync(string name, CancellationToken cancellationToken) => PostAsync<ProbeRow[]>(name, "probe", new { }, cancellationToken);

    internal async Task<bool> IsReadyAsync(CancellationToken cancellationToken)
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

    /// <summary>Starts a chat completion; returns when the response headers have arrived.</summary>
    /// <exception cref="GatewayRefusedException">The gateway answered with an error.</exception>
    /// <exception cref="CommandFailedException">No gateway answers.</exception>
    public Task<HttpResponseMessage> ChatAsync(JsonObject body, CancellationToken cancellationToken) =>
        SendAsync(Post("/v1/chat/completions", body.ToJsonString()), ChatTimeout, cancellationToken);

    public void Dispose() => _http.Dispose();

    private static HttpClient Create(Uri address, string? key, ClientTls? tls)
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        tls?.Apply(handler.SslOptions);
        var http = new HttpClient(handler) { BaseAddress = address, Timeout = Timeout.InfiniteTimeSpan };
        if (key is not null)
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http;
    }

    private Task<T> GetAsync<T>(string path, CancellationToken cancellationToken) =>
        AskAsync<T>(new HttpRequestMessage(HttpMethod.Get, path), ReadTimeout, cancellationToken);

    private Task<T> PostAsync<T>(string name, string verb, object body, CancellationToken cancellationToken) =>
        AskAsync<T>(Post($"{PathOf(name)}/{verb}", JsonSerializer.Serialize(body, JsonSerializerOptions.Web)), WriteTimeout, cancellationToken);

    // StringContent sends Content-Length, which the gateway's body limit requires.
    private static HttpRequestMessage Post(string path, string json) =>
        new(HttpMethod.Post, path) { Content = new StringContent(json, Encoding.UTF8, "application/json") };

    private static string PathOf(string name) => $"/admin/v1/replicas/{Uri.EscapeDataString(name)}";

    private async Task<T> AskAsync<T>(HttpRequestMessage request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await SendAsync(request, timeout, cancellationToken);
            return await response.Content.ReadFromJsonAsync<T>(JsonSerializerOptions.Web, cancellationToken) ?? throw new JsonException("the body is null");
        }
        catch (GatewayRefusedException refused) when (refused.IsBadInput)
        {
            throw new UsageException(refused.Reason);
        }
        catch (JsonException error)
        {
            throw new CommandFailedException($"{address} is not a Skein gateway: {error.Message}", error);
        }
    }

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
            throw new CommandFailedException(
                $"no gateway answers at {address} ({socket.SocketErrorCode}); start one with 'skein up', or name another with --gateway", error);
        }
        catch (HttpRequestException error) when (address.Scheme == Uri.UriSchemeHttps && error.InnerException is { } cause)
        {
            throw new CommandFailedException(
                $"TLS with the gateway at {address} failed: {cause.Message} Does it need --ca, or --client-cert and --client-key?", error);
        }
        catch (HttpRequestException error)
        {
            throw new CommandFailedException($"{address} is not a Skein gateway: {error.Message}", error);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            throw new CommandFailedException($"the gateway at {address} did not answer within {headersTimeout.TotalSeconds:0} s");
        }
    }
}
