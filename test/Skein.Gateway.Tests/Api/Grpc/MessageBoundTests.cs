using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.Grpc;

/// <summary>Large messages are refused before they use up memory.</summary>
public sealed class MessageBoundTests
{
    private static readonly ApiOptions TwoMessages = new() { MaxBodyBytes = 150_000, MaxBodyMemoryBytes = 200_000 };

    [Fact]
    public async Task Generate_NoRoomForASession_IsRefusedBeforeItsMessageIsSent()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Sessions.Full = new FaultException(Fault.TooManySessions, "this gateway holds its bound of 3 sessions", retryAfter: TimeSpan.FromSeconds(2));
        await using var call = new RawCall(gateway.Http2);

        using var refused = await call.AnswerAsync();

        Assert.Equal("14", Header(refused, "grpc-status"));
        Assert.Equal("this gateway holds its bound of 3 sessions", Uri.UnescapeDataString(Header(refused, "grpc-message")));
        var status = Google.Rpc.Status.Parser.ParseFrom(Convert.FromBase64String(Header(refused, "grpc-status-details-bin")));
        Assert.Equal(TimeSpan.FromSeconds(2), status.GetDetail<RetryInfo>()?.RetryDelay.ToTimeSpan());
        Assert.Equal("too_many_sessions", await gateway.Outcomes.NextAsync());
    }

    [Fact]
    public async Task Generate_NoRoomForASession_IsAnErrorOfTheOfficialClient()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Sessions.Full = new FaultException(Fault.TooManySessions, "100 % full: \"ä\"", retryAfter: TimeSpan.FromSeconds(2));
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new Inference.InferenceClient(channel).Generate(new GenerateRequest { Text = new string('x', 1 << 20) });

        var failure = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext().Within());

        Assert.Equal((StatusCode.Unavailable, "100 % full: \"ä\""), (failure.StatusCode, failure.Status.Detail));
        Assert.Equal(TimeSpan.FromSeconds(2), failure.GetRpcStatus()?.GetDetail<RetryInfo>()?.RetryDelay.ToTimeSpan());
        Assert.False(gateway.Sessions.HasStarted);
    }

    [Fact]
    public async Task Describe_NoRoomForASession_IsServed()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Sessions.Full = new FaultException(Fault.TooManySessions, "full");
        using var channel = GrpcChannel.ForAddress(gateway.Http2);

        Assert.NotEmpty((await new Inference.InferenceClient(channel).DescribeAsync(new DescribeRequest())).Models);
    }

    [Fact]
    public async Task Generate_MessagesHoldTheirBoundTogether_RefusesTheNextWhileItIsStillSent()
    {
        await using var gateway = await TestGateway.StartAsync(options: TwoMessages);
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var running = new Inference.InferenceClient(channel).Generate(new GenerateRequest { Text = new string('x', 100_000) });
        var session = await gateway.Sessions.StartedAsync();
        await using var sending = new RawCall(gateway.Http2);
        await sending.SendAsync(Message(140_000).AsMemory(0, 120_000));

        using var refused = await sending.AnswerAsync();

        Assert.Equal("14", Header(refused, "grpc-status"));
        Assert.Equal("the bodies of all requests hold too much; allowed: 200000 bytes together", Uri.UnescapeDataString(Header(refused, "grpc-message")));
        Assert.Equal("too_many_sessions", await gateway.Outcomes.NextAsync());
        session.Push(Frames.Answer("a"));
        session.End();
        while (await running.ResponseStream.MoveNext().Within())
        {
        }
        await ServedAsync(gateway);
    }

    [Fact]
    public async Task Generate_CompressedMessages_CountWhatTheyHold()
    {
        await using var gateway = await TestGateway.StartAsync(options: TwoMessages);
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        var client = new Inference.InferenceClient(channel);
        var request = new GenerateRequest { Text = new string('x', 140_000) };
        using var running = client.Generate(request, new Metadata { { "grpc-internal-encoding-request", "gzip" } });
        await gateway.Sessions.StartedAsync();

        using var second = client.Generate(request, new Metadata { { "grpc-internal-encoding-request", "gzip" } });
        var failure = await Assert.ThrowsAsync<RpcException>(() => second.ResponseStream.MoveNext().Within());

        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.NotNull(failure.GetRpcStatus()?.GetDetail<RetryInfo>());
    }

    [Fact]
    public async Task Generate_ClientGoneInMidMessage_GivesBackWhatItHeld()
    {
        await using var gateway = await TestGateway.StartAsync(Answer, TwoMessages);
        await using (var sending = new RawCall(gateway.Http2))
        {
            await sending.SendAsync(Message(140_000).AsMemory(0, 120_000));
            Assert.Equal(StatusCode.Unavailable, await Deadline.AskAsync(() => OutcomeAsync(gateway), static last => last == StatusCode.Unavailable));
        }

        await ServedAsync(gateway);
    }

    [Fact]
    public async Task Generate_MessageInPieces_IsServed()
    {
        await using var gateway = await TestGateway.StartAsync(Answer);
        await using var call = new RawCall(gateway.Http2);
        var message = Message(90_000);
        foreach (var (from, to) in new[] { (0, 3), (3, 5), (5, 70_000), (70_000, message.Length) })
            await call.SendAsync(message.AsMemory(from, to - from));
        await call.SendEndAsync();

        using var answer = await call.AnswerAsync();

        Assert.Equal("replica-1", Header(answer, SkeinHeaders.Replica));
        Assert.Equal(90_000, (await gateway.Sessions.StartedAsync()).Request.Text.Length);
        Assert.Equal(RequestOutcomes.Completed, await gateway.Outcomes.NextAsync());
    }

    private static void Answer(ScriptedSession session)
    {
        session.Push(Frames.Answer("a"));
        session.End();
    }

    private static async Task ServedAsync(TestGateway gateway)
    {
        gateway.Sessions.Script = Answer;
        // The memory of a request is returned after its last byte.
        Assert.Equal(StatusCode.OK, await Deadline.AskAsync(() => OutcomeAsync(gateway), static last => last != StatusCode.Unavailable));
    }

    private static async Task<StatusCode> OutcomeAsync(TestGateway gateway)
    {
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new Inference.InferenceClient(channel).Generate(new GenerateRequest { Text = new string('x', 100_000) });
        try
        {
            while (await call.ResponseStream.MoveNext().Within())
            {
            }
            return StatusCode.OK;
        }
        catch (RpcException e)
        {
            return e.StatusCode;
        }
    }

    private static byte[] Message(int textBytes)
    {
        var request = new GenerateRequest { Text = new string('x', textBytes) };
        var message = new byte[5 + request.CalculateSize()];
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), message.Length - 5);
        request.WriteTo(message.AsSpan(5));
        return message;
    }

    private static string Header(HttpResponseMessage response, string name) => Assert.Single(response.Headers.GetValues(name));

    /// <summary>A call whose bytes the test sends. Disposing it aborts it.</summary>
    private sealed class RawCall : IAsyncDisposable
    {
        private readonly HttpClient _client = new();
        private readonly Pipe _pipe = new();
        private readonly CancellationTokenSource _end = new();
        private readonly Task<HttpResponseMessage> _answer;

        public RawCall(Uri gateway)
        {
            var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway, "/skein.v1.Inference/Generate"))
            {
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = new PipedContent(_pipe.Reader) { Headers = { ContentType = new("application/grpc") } },
                Headers = { { "te", "trailers" } },
            };
            _answer = _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, _end.Token);
        }

        public async Task SendAsync(ReadOnlyMemory<byte> bytes) => await _pipe.Writer.WriteAsync(bytes).AsTask().Within();

        public async Task SendEndAsync() => await _pipe.Writer.CompleteAsync();

        public Task<HttpResponseMessage> AnswerAsync() => _answer.Within();

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            _client.Dispose();
            _end.Dispose();
        }
    }

    /// <summary>Sends each piece at once: the client would otherwise buffer some of it.</summary>
    private sealed class PipedContent(PipeReader reader) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, default);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            try
            {
                // The client may delay the headers until there are bytes to send, and a call may send none.
                await stream.FlushAsync(cancellationToken);
                while (true)
                {
                    var read = await reader.ReadAsync(cancellationToken);
                    foreach (var piece in read.Buffer)
                        await stream.WriteAsync(piece, cancellationToken);
                    await stream.FlushAsync(cancellationToken);
                    reader.AdvanceTo(read.Buffer.End);
                    if (read.IsCompleted)
                        return;
                }
            }
            finally
            {
                // A refusal may arrive before the last byte was sent. Nothing reads the rest, so the sender must not wait for it.
                await reader.CompleteAsync();
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
