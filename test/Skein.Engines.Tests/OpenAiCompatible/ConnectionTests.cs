using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.OpenAiCompatible;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

public class ConnectionTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_Cancelled_ClosesTheConnection()
    {
        await using var server = new OneTokenServer();
        await using var engine = await server.ConnectAsync(TimeProvider.System);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        await using var frames = engine.GenerateAsync(Chat(), cancel.Token).GetAsyncEnumerator(Cancellation);
        Assert.True(await frames.MoveNextAsync() && await frames.MoveNextAsync());

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await frames.MoveNextAsync());
        await server.Closed.WaitAsync(Cancellation);
    }

    [Fact]
    public async Task GenerateAsync_ReaderLeaves_ClosesTheConnection()
    {
        await using var server = new OneTokenServer();
        await using var engine = await server.ConnectAsync(TimeProvider.System);

        await foreach (var frame in engine.GenerateAsync(Chat(), Cancellation))
        {
            if (frame.Count > 0)
            {
                break;
            }
        }

        await server.Closed.WaitAsync(Cancellation);
    }

    [Fact]
    public async Task GenerateAsync_ServerFallsSilent_FailsAfterTheBound()
    {
        await using var server = new OneTokenServer();
        var time = new FakeTimeProvider();
        await using var engine = await server.ConnectAsync(time);
        await using var frames = engine.GenerateAsync(Chat(), Cancellation).GetAsyncEnumerator(Cancellation);
        Assert.True(await frames.MoveNextAsync() && await frames.MoveNextAsync());

        var next = frames.MoveNextAsync().AsTask();
        time.Advance(TimeSpan.FromMinutes(5));

        var exception = await Assert.ThrowsAsync<FaultException>(() => next);
        Assert.Equal(Fault.EngineTimedOut, exception.Fault);
        Assert.Contains("sent nothing for 300 s", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectAsync_NobodyThere_NamesTheUrl()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var url = new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        listener.Stop();

        var exception = await Assert.ThrowsAsync<FaultException>(
            () => OpenAiEngineFactory.ConnectAsync(new OpenAiEngineOptions { BaseUrl = url, Slots = 1 }, TimeProvider.System, cancellationToken: Cancellation));

        Assert.Equal(Fault.Unreachable, exception.Fault);
        Assert.Contains(url.ToString(), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CheckAsync_ServerDies_ItsStreamIsLostAndItIsUnreachable()
    {
        var server = new OneTokenServer();
        await using var engine = await server.ConnectAsync(TimeProvider.System);
        await engine.CheckAsync(Cancellation);
        await using var frames = engine.GenerateAsync(Chat(), Cancellation).GetAsyncEnumerator(Cancellation);
        Assert.True(await frames.MoveNextAsync() && await frames.MoveNextAsync());

        await server.DisposeAsync();

        var lost = await Assert.ThrowsAsync<FaultException>(async () => await frames.MoveNextAsync());
        var unreachable = await Assert.ThrowsAsync<FaultException>(async () => await engine.CheckAsync(Cancellation));
        Assert.Equal((Fault.ConnectionLost, Fault.Unreachable), (lost.Fault, unreachable.Fault));
    }

    [Fact]
    public async Task CheckAsync_OtherModel_NamesTheOneThatIsGone()
    {
        var server = Dialogues.Ollama();
        await using var engine = await server.ConnectAsync(options => options with { Model = "fake:1b" });
        await using var ofAny = await server.ConnectAsync();
        await engine.CheckAsync(Cancellation);

        server.On("/v1/models", """{"data":[{"id":"other"}]}""");

        var gone = await Assert.ThrowsAsync<FaultException>(async () => await engine.CheckAsync(Cancellation));
        Assert.Equal(Fault.ModelNotFound, gone.Fault);
        Assert.Contains("'fake:1b'", gone.Message, StringComparison.Ordinal);
        await ofAny.CheckAsync(Cancellation);
    }

    [Fact]
    public async Task CheckAsync_ServerStandsStill_TimesOutAndIsNotTakenForAnAnswer()
    {
        var time = new FakeTimeProvider();
        var server = new StoppableServer(Dialogues.Ollama());
        var options = new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test"), Slots = 1 };
        await using var engine = await OpenAiEngineFactory.ConnectAsync(options, time, () => server, Cancellation);
        server.IsStopped = true;

        var check = engine.CheckAsync(Cancellation).AsTask();
        time.Advance(options.CallTimeout);

        var exception = await Assert.ThrowsAsync<FaultException>(() => check);
        Assert.Equal(Fault.EngineTimedOut, exception.Fault);
    }

    [Fact]
    public async Task ConnectAsync_KeyAndPrefix_AreSent()
    {
        var seen = new List<string>();
        using var handler = new Eavesdropper(seen);

        await Assert.ThrowsAsync<FaultException>(() => OpenAiEngineFactory.ConnectAsync(
            new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test/a/v1/"), ApiKey = "k1", Slots = 1 }, TimeProvider.System, () => handler, Cancellation));

        Assert.Equal("http://fake.test/a/props Bearer k1", seen[0]);
        Assert.Contains("http://fake.test/a/v1/models Bearer k1", seen);
    }

    [Fact]
    public async Task ConnectAsync_WrongOption_NamesItWithoutTheKey()
    {
        var options = new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test"), ApiKey = "sécret" };

        var exception = await Assert.ThrowsAsync<ArgumentException>(() => OpenAiEngineFactory.ConnectAsync(options, TimeProvider.System, cancellationToken: Cancellation));

        Assert.StartsWith("ApiKey", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("cret", exception.Message + options, StringComparison.Ordinal);
    }

    private static GenerateRequest Chat() => new() { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") } };

    private sealed class Eavesdropper(List<string> seen) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            seen.Add($"{request.RequestUri} {request.Headers.Authorization}");
            return Task.FromResult(new HttpResponseMessage(HttpStatusCode.NotFound) { Content = new StringContent("") });
        }
    }

    /// <summary>Once it is stopped, takes what it is asked and says nothing.</summary>
    private sealed class StoppableServer(HttpMessageHandler server) : DelegatingHandler(server)
    {
        public bool IsStopped { get; set; }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            IsStopped ? new TaskCompletionSource<HttpResponseMessage>().Task.WaitAsync(cancellationToken) : base.SendAsync(request, cancellationToken);
    }

    /// <summary>A server on a real socket that sends one chunk of a chat and then nothing, until the client goes away.</summary>
    private sealed class OneTokenServer : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _serving;

        public OneTokenServer()
        {
            _listener.Start();
            _serving = ServeAsync();
        }

        /// <summary>Completes when the client has closed the stream's connection.</summary>
        public Task Closed => _closed.Task;

        public Task<IInferenceEngine> ConnectAsync(TimeProvider time) => OpenAiEngineFactory.ConnectAsync(
            new OpenAiEngineOptions
            {
                BaseUrl = new Uri($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}"), Kind = "ollama", Slots = 1,
            },
            time, cancellationToken: Cancellation);

        /// <summary>Dies: cuts what it streams.</summary>
        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _serving;
            _listener.Dispose();
            _stop.Dispose();
        }

        private async Task ServeAsync()
        {
            try
            {
                while (true)
                {
                    using var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                    await AnswerAsync(client.GetStream());
                }
            }
            catch (OperationCanceledException)
            {
                // The test is over.
            }
        }

        private async Task AnswerAsync(NetworkStream stream)
        {
            var buffer = new byte[16_384];
            var asked = Encoding.ASCII.GetString(buffer, 0, await stream.ReadAsync(buffer));
            if (asked.StartsWith("POST", StringComparison.Ordinal))
            {
                const string Event = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
                await SendAsync(stream, "text/event-stream\r\nTransfer-Encoding: chunked", $"{Event.Length:x}\r\n{Event}\r\n");
                while (await ReadAsync(stream, buffer, _stop.Token) > 0)
                {
                    // The rest of the request's body.
                }

                _closed.SetResult();
                return;
            }

            await SendAsync(stream, "application/json", asked.Contains("version", StringComparison.Ordinal) ? """{"version":"1"}""" : """{"data":[{"id":"a"}]}""");
        }

        private static async Task<int> ReadAsync(NetworkStream stream, byte[] buffer, CancellationToken stop)
        {
            try
            {
                return await stream.ReadAsync(buffer, stop);
            }
            catch (IOException)
            {
                return 0; // closed by a reset
            }
        }

        private static async Task SendAsync(NetworkStream stream, string type, string body) => await stream.WriteAsync(
            Encoding.UTF8.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: {type}\r\nConnection: close\r\n\r\n{body}"));
    }
}
