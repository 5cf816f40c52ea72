using System.Net;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.Grpc;

public sealed class InferenceGatewayTests
{
    [Fact]
    public async Task Generate_Session_StreamsItsFramesThrough()
    {
        var frames = Frames.Answer("a", "b", "c");
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Attempts = 2;
            session.Failovers = [new(0, 1, "replica-2", "link")];
            session.Push(frames);
            session.End();
        });
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new Inference.InferenceClient(channel).Generate(new GenerateRequest { Text = "x" }, new Metadata { { SkeinHeaders.RequestId, "mine-1" } });

        var received = new List<GenerateFrame>();
        await foreach (var frame in call.ResponseStream.ReadAllAsync())
            received.Add(frame);

        Assert.Equal(frames, received);
        var headers = await call.ResponseHeadersAsync;
        Assert.Equal("mine-1", headers.GetValue(SkeinHeaders.RequestId));
        Assert.Equal("replica-1", headers.GetValue(SkeinHeaders.Replica));
        Assert.Equal("2", headers.GetValue(SkeinHeaders.Attempts));
        Assert.Equal("exact", headers.GetValue(SkeinHeaders.ResumeTier));
        Assert.Equal("failovers=1 attempts=2 [token 1: replica-2 lost (link)]", call.GetTrailers().GetValue(SkeinHeaders.Failovers));
        var request = (await gateway.Sessions.StartedAsync()).Request;
        Assert.Equal("mine-1", request.RequestId);
        Assert.Equal(1u, request.N);
        Assert.Equal(RequestOutcomes.Completed, await gateway.Outcomes.NextAsync());
    }

    [Theory]
    [InlineData(Fault.InvalidRequest, StatusCode.InvalidArgument, "invalid_request_error", false)]
    [InlineData(Fault.ContextLengthExceeded, StatusCode.FailedPrecondition, "context_length_exceeded", false)]
    [InlineData(Fault.ModelNotFound, StatusCode.NotFound, "model_not_found", false)]
    [InlineData(Fault.QueueFull, StatusCode.ResourceExhausted, "queue_full", true)]
    [InlineData(Fault.QueueTimeout, StatusCode.ResourceExhausted, "queue_timeout", true)]
    [InlineData(Fault.NoReplica, StatusCode.Unavailable, "no_replica", true)]
    [InlineData(Fault.TooManySessions, StatusCode.Unavailable, "too_many_sessions", true)]
    [InlineData(Fault.StreamLost, StatusCode.Aborted, "stream_lost", false)]
    [InlineData(Fault.SlowClient, StatusCode.Aborted, "slow_client", false)]
    [InlineData(Fault.DeadlineExceeded, StatusCode.DeadlineExceeded, "deadline_exceeded", false)]
    public async Task Generate_SessionFailsInMidStream_HasStatusReasonAndRetryInfo(Fault error, StatusCode status, string reason, bool retry)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Start(), Frames.Token(0, "a"));
            session.Fail(error, "why", retry ? TimeSpan.FromMilliseconds(1500) : null);
        });
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new Inference.InferenceClient(channel).Generate(new GenerateRequest { Text = "x" });

        Assert.True(await call.ResponseStream.MoveNext());
        Assert.True(await call.ResponseStream.MoveNext());
        var failure = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext());

        Assert.Equal((status, "why"), (failure.StatusCode, failure.Status.Detail));
        var details = failure.GetRpcStatus()!;
        Assert.Equal(reason, details.GetDetail<ErrorInfo>()?.Reason);
        Assert.Equal(retry ? TimeSpan.FromMilliseconds(1500) : null, details.GetDetail<RetryInfo>()?.RetryDelay.ToTimeSpan());
        Assert.Equal(reason, await gateway.Outcomes.NextAsync());
    }

    public static TheoryData<GenerateRequest, string> WrongRequests => new()
    {
        { new(), "prompt: missing; required: one of text, token_ids, chat" },
        { new() { TokenIds = new() }, "token_ids.ids: empty; allowed: at least one token id" },
        { new() { Text = "x", N = 17 }, "n: 17 is out of range; allowed: 1 to 16" },
        { new() { Text = "x", Sampling = new() { Temperature = float.NaN } }, "sampling.temperature: NaN is out of range; allowed: 0 to 2" },
        { new() { Text = "x", Sampling = new() { LogitBias = { [7] = 101 } } }, "sampling.logit_bias[7]: 101 is out of range; allowed: -100 to 100" },
        { new() { Text = "x", Logprobs = 21 }, "logprobs: 21 is out of range; allowed: 0 to 20" },
        { new() { Text = "x", Priority = 9 }, "priority: 9 is out of range; allowed: -8 to 8" },
        { new() { Text = "x", DeadlineMs = 0 }, "deadline_ms: 0 is out of range; allowed: 1 to 86400000" },
        { new() { Text = "x", Stop = { "a", "" } }, "stop[1]: 0 bytes; allowed: 1 to 1024 bytes" },
        { new() { Text = "x", Model = new string('m', 257) }, "model: longer than 256 bytes; allowed: 1 to 256 bytes, or absent" },
        { new() { Text = "x", Model = "a\nb" }, "model: holds a control character; allowed: 1 to 256 bytes without control characters, or absent" },
        { new() { Text = "x", Attempt = 1 }, "attempt: 1 is set by gateways; allowed: absent" },
        { new() { Text = "x", Resume = new() }, "resume: is set by gateways; allowed: absent" },
        { new() { Text = "x", Session = "s" }, "session: is set by gateways; allowed: absent" },
        { new() { Text = "x", Extra = { Member("a", "1"), Member("a", "1") } }, "extra[1].name: appears more than once; allowed: once" },
        { new() { Text = "x", Extra = { Member("a", "{") } }, "extra[0].json: not valid JSON; allowed: a JSON value" },
        { new() { Text = "x", Extra = { Member("a", "1 2") } }, "extra[0].json: not valid JSON; allowed: a JSON value" },
        { Chat("[{\"role\":\"user\",\"\\ud800\":1}]"), "chat.messages: holds half of a surrogate pair; allowed: whole Unicode characters" },
        { new() { Text = "x", Extra = { Member("a", "\"\\udc00\"") } }, "extra[0].json: holds half of a surrogate pair; allowed: whole Unicode characters" },
        { new() { Chat = new() }, "chat.messages: missing; required: a JSON array of at least one message" },
        { Chat("{}"), "chat.messages: an object is not an array; allowed: an array" },
        { Chat("[{\"role\":7,\"content\":\"\"}]"), "messages[0].role: 7 is not a string; allowed: system, developer, user, assistant, tool, function" },
        { new() { Text = "x", Sampling = new() { Raw = { Member("top_p", "2") } } }, "sampling.raw: is set by gateways; allowed: absent" },
        { Chat("[{\"role\":\"user\""), "chat.messages: not valid JSON; allowed: an array" },
    };

    [Theory]
    [MemberData(nameof(WrongRequests))]
    public async Task Generate_WrongRequest_NamesFieldValueAndWhatIsAllowed(GenerateRequest request, string message)
    {
        await using var gateway = await TestGateway.StartAsync();
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new Inference.InferenceClient(channel).Generate(request);

        var failure = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext());

        Assert.Equal((StatusCode.InvalidArgument, message), (failure.StatusCode, failure.Status.Detail));
        Assert.Equal(RequestOutcomes.Refused, await gateway.Outcomes.NextAsync());
    }

    [Theory]
    [InlineData("identity", new byte[] { 0, 0, 0, 0, 3, 0x1a, 1, 0xff }, "the bytes are no GenerateRequest: ")]
    [InlineData("identity", new byte[] { 0, 0, 0, 0, 2, 0xff, 0xff }, "the bytes are no GenerateRequest: ")]
    [InlineData("gzip", new byte[] { 1, 0, 0, 0, 3, 0x1a, 1, 0xff }, "unsupported compression method")]
    public async Task Generate_BytesThatAreNoMessage_SaysWhatIsWrongToTheClientAndNotToTheLog(string encoding, byte[] bytes, string problem)
    {
        await using var gateway = await TestGateway.StartAsync();
        using var client = new HttpClient { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var content = new ByteArrayContent(bytes) { Headers = { ContentType = new("application/grpc") } };
        content.Headers.Add("grpc-encoding", encoding);

        using var response = await client.PostAsync(new Uri(gateway.Http2, "/skein.v1.Inference/Generate"), content);

        var message = Uri.UnescapeDataString(Assert.Single(response.Headers.GetValues("grpc-message")));
        Assert.Contains(problem, message, StringComparison.Ordinal);
        if (encoding == "identity") // what cannot be decompressed never reaches the parser
        {
            Assert.DoesNotContain("Exception", message, StringComparison.Ordinal);
            Assert.Equal($"{(int)StatusCode.InvalidArgument}", Assert.Single(response.Headers.GetValues("grpc-status")));
        }
        Assert.False(gateway.Sessions.HasStarted);
        await gateway.DisposeAsync(); // everything is logged by then
        Assert.DoesNotContain(gateway.Log.All, line => line.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task Describe_Fails_IsLoggedAndSaysWhereToLook()
    {
        await using var gateway = await TestGateway.StartAsync(models: new BrokenCatalog());
        using var channel = GrpcChannel.ForAddress(gateway.Http2);

        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Inference.InferenceClient(channel).DescribeAsync(new DescribeRequest()));

        Assert.Equal((StatusCode.Internal, "the gateway failed in /skein.v1.Inference/Describe; its log tells more"), (failure.StatusCode, failure.Status.Detail));
        var line = Assert.Single(gateway.Log.All, line => line.Level >= LogLevel.Warning);
        Assert.Equal("the catalog is broken", line.Exception?.Message);
    }

    [Fact]
    public async Task Generate_MessageOfMoreThanFourMegabytes_IsTaken()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a"));
            session.End();
        });
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new Inference.InferenceClient(channel).Generate(new GenerateRequest { Text = new string('x', 20 << 20) });

        Assert.True(await call.ResponseStream.MoveNext());
    }

    [Fact]
    public async Task Generate_ClientCancels_DisposesTheSession()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new Inference.InferenceClient(channel).Generate(new GenerateRequest { Text = "x" });
        var session = await gateway.Sessions.StartedAsync();
        await session.WaitsAsync();

        call.Dispose();

        await session.Disposed;
        Assert.Equal(RequestOutcomes.Cancelled, await gateway.Outcomes.NextAsync());
    }

    [Fact]
    public async Task Generate_ClientThatNeverReads_IsCutOff()
    {
        await using var gateway = await TestGateway.StartAsync(
            session =>
            {
                session.Push(Frames.Start());
                session.Push(Enumerable.Range(0, 200_000).Select(i => Frames.Token((uint)i, new string('x', 100))));
                session.End();
            },
            new ApiOptions { WriteTimeout = TimeSpan.FromMilliseconds(200) });
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new Inference.InferenceClient(channel).Generate(new GenerateRequest { Text = "x" });

        var session = await gateway.Sessions.StartedAsync();
        await session.Disposed;

        Assert.False(session.IsReadToEnd);
        Assert.Equal("slow_client", await gateway.Outcomes.NextAsync());
    }

    [Fact]
    public async Task Describe_Catalog_TellsItsModels()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var channel = GrpcChannel.ForAddress(gateway.Http2);

        var description = await new Inference.InferenceClient(channel).DescribeAsync(new DescribeRequest());

        Assert.Equal(["tiny", "org/big \"q\""], description.Models.Select(model => model.Name));
        Assert.Equal(512u, description.Models[0].ContextTokens);
        Assert.Equal((8u, 3u, 1u), (description.Load.Slots, description.Load.Running, description.Load.Waiting));
    }

    [Fact]
    public async Task Invoke_Call_IsPassedThroughWithItsAnswer()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Calls.Body = "[1]";
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new Inference.InferenceClient(channel).Invoke(
            new InvokeRequest { Path = "/v1/embeddings", Model = "tiny", Body = ByteString.CopyFromUtf8("{}"), Query = "?a=b" },
            new Metadata { { SkeinHeaders.Priority, "-2" } });

        var frames = new List<InvokeFrame>();
        await foreach (var frame in call.ResponseStream.ReadAllAsync())
            frames.Add(frame);

        Assert.Equal((200u, "[1]"), (frames[0].Start.Status, string.Concat(frames.Select(frame => frame.Body.ToStringUtf8()))));
        Assert.Equal("replica-1", (await call.ResponseHeadersAsync).GetValue(SkeinHeaders.Replica));
        var asked = Assert.Single(gateway.Calls.Asked);
        Assert.Equal(("tiny", "?a=b", -2), (asked.Model, asked.Query, asked.Priority));
        Assert.Equal(RequestOutcomes.Completed, await gateway.Outcomes.NextAsync());
    }

    public static TheoryData<string, Action<InvokeRequest>> WrongCalls => new()
    {
        { "path: '/sleep' is not passed through", call => call.Path = "/sleep" },
        { "path: '' is not passed through", call => call.Path = "" },
        { "method: 'DELETE' is not passed through", call => call.Method = "DELETE" },
        { "caller: is set by gateways", call => call.Caller = "me" },
        { "asked_model: is set by gateways", call => call.AskedModel = "me" },
        { "model_offset: 5 is not within the body of 2 bytes", call => (call.ModelOffset, call.ModelLength) = (5, uint.MaxValue) },
        { "content_type: is too long or not printable", call => call.ContentType = "a\r\nx: y" },
        { "query: does not begin with '?'", call => call.Query = "a=b" },
        { "priority: 9 is out of range", call => call.Priority = 9 },
        { "deadline_ms: 0 is out of range", call => call.DeadlineMs = 0 },
    };

    [Theory]
    [MemberData(nameof(WrongCalls))]
    public async Task Invoke_WrongCall_IsRefusedByName(string message, Action<InvokeRequest> change)
    {
        await using var gateway = await TestGateway.StartAsync();
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        var request = new InvokeRequest { Path = "/v1/embeddings", Body = ByteString.CopyFromUtf8("{}") };
        change(request);
        using var call = new Inference.InferenceClient(channel).Invoke(request);

        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(TestContext.Current.CancellationToken));

        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
        Assert.StartsWith(message, error.Status.Detail, StringComparison.Ordinal);
        Assert.Equal(message.Split(':')[0], error.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Metadata["param"]);
        Assert.Empty(gateway.Calls.Asked);
    }

    [Fact]
    public async Task Continue_OnAGateway_IsUnimplemented()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var channel = GrpcChannel.ForAddress(gateway.Http2);

        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Inference.InferenceClient(channel).ContinueAsync(new ContinueRequest()));

        Assert.Equal(StatusCode.Unimplemented, failure.StatusCode);
    }

    private static RawMember Member(string name, string json) => new() { Name = name, Json = ByteString.CopyFromUtf8(json) };

    private static GenerateRequest Chat(string messages) => new() { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8(messages) } };

    private sealed class BrokenCatalog : IModelCatalog
    {
        public LoadReport Load() => throw new InvalidOperationException("a bug");

        public IReadOnlyList<ServedModel> List() => throw new InvalidOperationException("the catalog is broken");
    }
}
