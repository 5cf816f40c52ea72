using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>What a connection does after an answer.</summary>
internal enum Ending
{
    /// <summary>It stays open for the next request.</summary>
    KeepAlive,

    /// <summary>The server closes it with FIN. Nothing in the answer announced that.</summary>
    Close,

    /// <summary>The server resets it.</summary>
    Reset,
}

/// <summary>Answers one request by writing to its connection.</summary>
internal delegate Task<Ending> Answer(Exchange exchange);

/// <summary>
/// An HTTP/1.1 server on a raw socket. Its script decides every byte, pause and end of an answer. Unscripted requests get what a minimal
/// OpenAI-compatible server answers: one model, a health check, a small model that continues texts, and 404 for all else. Thread-safe.
/// </summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    /// <summary>Text that is only in requests of the tests. Requests without it are the gateway's own: probes and proofs.</summary>
    public const string Mark = "Tell the story";

    /// <summary>The default model.</summary>
    public const string Model = "story";

    private readonly ConcurrentQueue<ScriptedRequest> _requests = [];
    private readonly ConcurrentDictionary<Exchange, bool> _open = [];
    private readonly ConcurrentDictionary<string, Answer> _paths = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private readonly List<(Predicate<ScriptedRequest> Is, TaskCompletionSource<ScriptedRequest> Seen)> _awaited = [];
    private readonly TaskCompletionSource _whenAborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenSource _stop = new();
    private TcpListener _listener;
    private Task _accepting;
    private int _connections;
    private int _generations;
    private int _ownGenerations;
    private int _aborted;

    /// <param name="generate">Answers generations of clients, requests with <see cref="Mark"/>. Default: the small model.</param>
    public ScriptedServer(Answer? generate = null)
    {
        Generate = generate ?? SmallModel.AnswerAsync;
        On("/v1/models", Answers.Json($$"""{"object":"list","data":[{"id":"{{Model}}","object":"model","created":1700000000,"owned_by":"test"}]}"""));
        On("/health", Answers.Json("{}"));
        _listener = new TcpListener(IPAddress.Loopback, 0);
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync(_listener, _stop.Token);
    }

    public int Port { get; }

    public Uri Url => new($"http://127.0.0.1:{Port}");

    /// <summary>Its name in the gateway.</summary>
    public string Name => $"127.0.0.1:{Port}";

    /// <summary>Answers generations of clients. May be replaced at any time.</summary>
    public Answer Generate { get; set; }

    /// <summary>Answers the gateway's own generations, such as the proof of a resume tier.</summary>
    public Answer GenerateForGateway { get; set; } = SmallModel.AnswerAsync;

    /// <summary>Connections accepted so far.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Generations of clients so far.</summary>
    public int Generations => Volatile.Read(ref _generations);

    /// <summary>The gateway's own generations so far.</summary>
    public int OwnGenerations => Volatile.Read(ref _ownGenerations);

    /// <summary>Answers during which the client closed the connection.</summary>
    public int Aborted => Volatile.Read(ref _aborted);

    /// <summary>All requests, in the order of their arrival.</summary>
    public IReadOnlyList<ScriptedRequest> Requests => [.. _requests];

    /// <summary>Generations of clients, in the order of their arrival.</summary>
    public IReadOnlyList<ScriptedRequest> Asked => [.. _requests.Where(request => request.IsGeneration && request.IsClients)];

    /// <summary>Number of requests for a path.</summary>
    public int Calls(string path) => _requests.Count(request => request.Path == path);

    /// <summary>Answers every request for a path, except generations of clients.</summary>
    public ScriptedServer On(string path, Answer answer)
    {
        _paths[path] = answer;
        return this;
    }

    /// <summary>Answers every path that has no answer of its own, generations too.</summary>
    public Answer? Everything { get; set; }

    /// <summary>Waits for a request that fits, past or future.</summary>
    public Task<ScriptedRequest> WhenAsync(Predicate<ScriptedRequest> fits)
    {
        lock (_gate)
        {
            if (_requests.FirstOrDefault(request => fits(request)) is { } seen)
                return Task.FromResult(seen);
            var awaited = new TaskCompletionSource<ScriptedRequest>(TaskCreationOptions.RunContinuationsAsynchronously);
            _awaited.Add((fits, awaited));
            return awaited.Task.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Waits until the server has received this many generations of clients.</summary>
    public Task WhenAskedAsync(int times) => WhenAsync(request => request.IsClients && request.Number == times - 1);

    /// <summary>Waits until a client has left during an answer.</summary>
    public Task WhenAbortedAsync() => _whenAborted.Task.WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System, TestContext.Current.CancellationToken);

    /// <summary>Ends as a killed process does: no more connections, and FIN on all that are open.</summary>
    public async Task KillAsync()
    {
        _listener.Stop();
        foreach (var exchange in _open.Keys)
            exchange.ShutDown();
        await _stop.CancelAsync();
        await _accepting;
    }

    /// <summary>Listens again on the same port.</summary>
    public void Restart()
    {
        _stop.Dispose();
        _stop = new CancellationTokenSource();
        _listener = new TcpListener(IPAddress.Loopback, Port);
        _listener.Start();
        _accepting = AcceptAsync(_listener, _stop.Token);
    }

    /// <summary>Closes all connections that wait for a request, as a server does that finds them idle.</summary>
    public void CloseIdle()
    {
        foreach (var exchange in _open.Keys.Where(exchange => exchange.IsIdle))
            exchange.ShutDown();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync(TcpListener listener, CancellationToken stop)
    {
        var serving = new List<Task>();
        try
        {
            while (true)
            {
                var socket = await listener.AcceptSocketAsync(stop);
                Interlocked.Increment(ref _connections);
                serving.Add(ServeAsync(socket, stop));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // The server stops; the last one: it stopped between two calls.
        }
        await Task.WhenAll(serving);
    }

    private async Task ServeAsync(Socket socket, CancellationToken stop)
    {
        socket.NoDelay = true;
        await using var exchange = new Exchange(socket, stop);
        _open[exchange] = true;
        try
        {
            while (await exchange.ReadRequestAsync() is { } read)
            {
                var request = Count(read);
                exchange.Begin(request);
                var ending = await AnswerTo(request)(exchange);
                exchange.IsAnswering = false;
                if (exchange.Left.IsCompleted)
                    CountAborted(request);
                if (ending == Ending.Reset)
                    exchange.Reset();
                if (ending != Ending.KeepAlive || exchange.Left.IsCompleted)
                    return;
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            if (exchange.Left.IsCompleted && exchange.IsAnswering)
                CountAborted(exchange.Request);
        }
        finally
        {
            _open.TryRemove(exchange, out _);
        }
    }

    // The gateway ends its own trials when they take too long.
    private void CountAborted(ScriptedRequest request)
    {
        if (request is { IsGeneration: true, IsClients: false })
            return;
        Interlocked.Increment(ref _aborted);
        _whenAborted.TrySetResult();
    }

    private ScriptedRequest Count(ScriptedRequest read)
    {
        lock (_gate)
        {
            var number = !read.IsGeneration ? 0
                : read.IsClients ? Interlocked.Increment(ref _generations) - 1
                : Interlocked.Increment(ref _ownGenerations) - 1;
            var request = read with { Number = number };
            _requests.Enqueue(request);
            foreach (var awaited in _awaited.FindAll(awaited => awaited.Is(request)))
            {
                _awaited.Remove(awaited);
                awaited.Seen.SetResult(request);
            }
            return request;
        }
    }

    private Answer AnswerTo(ScriptedRequest request)
    {
        if (_paths.TryGetValue(request.Path, out var answer) && !(request.IsGeneration && request.IsClients))
            return answer;
        if (Everything is { } everything)
            return everything;
        if (request.IsGeneration)
            return request.IsClients ? Generate : GenerateForGateway;
        return Answers.Json("""{"detail":"Not Found"}""", 404);
    }
}
