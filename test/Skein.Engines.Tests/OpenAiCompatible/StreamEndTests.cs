using System.Buffers;
using System.Net;
using System.Text;
using Google.Protobuf;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.OpenAiCompatible;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>How the streams of servers end, byte by byte.</summary>
public class StreamEndTests
{
    private const string A = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    private const string Stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    private const string Usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n";
    private const string Done = "data: [DONE]\n\n";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(A + Stop + Usage + Done)]
    [InlineData(A + "data:\n\n" + Stop + Usage + "data: [DONE] \n\n")]
    [InlineData(A + "data: \n\n: ping\n\n" + Stop + Usage)]
    [InlineData("data: {\"error\":\"\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n" + Stop + Usage + Done)]
    [InlineData("data: {\"error\":null,\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n" + Stop + Usage + Done)]
    [InlineData(A + Stop + Usage + "data: {\"error\":{\"message\":\"late\"}}\n\n")]
    public async Task GenerateAsync_AnyGoodEnd_IsTheAnswer(string text)
    {
        var (engine, body, _) = await StartAsync(text);
        await using var _ = engine;
        body.Close();

        var frames = await FramesOf(engine);

        Assert.Equal("a", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
        Assert.Equal(FinishReason.Stop, frames[^1].Finish.Reason);
        Assert.Equal(3u, frames[^1].Finish.Usage.CompletionTokens);
    }

    [Fact]
    public async Task GenerateAsync_CountsButNoDoneAndTheConnectionStaysOpen_EndsAtOnce()
    {
        var (engine, _, _) = await StartAsync(A + Stop + Usage);
        await using var _ = engine;

        var frames = await FramesOf(engine);

        Assert.Equal((FinishReason.Stop, 3u), (frames[^1].Finish.Reason, frames[^1].Finish.Usage.CompletionTokens));
    }

    [Fact]
    public async Task GenerateAsync_FinishButNoDoneAndTheConnectionStaysOpen_EndsAfterASecondAndClosesIt()
    {
        var (engine, body, time) = await StartAsync(A + Stop);
        await using var _ = engine;

        var reading = FramesOf(engine);
        await body.Waiting(reads: 2);
        time.Advance(TimeSpan.FromSeconds(0.9));
        body.Send(": ping\n\n");
        await body.Waiting(reads: 3);
        Assert.False(reading.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.1));

        Assert.Equal(FinishReason.Stop, (await reading)[^1].Finish.Reason);
        await body.Closed.WaitAsync(Cancellation);
    }

    [Theory]
    [InlineData(A + Done, "with [DONE] but without a finish_reason")]
    [InlineData(A, "early, without a finish_reason")]
    public async Task GenerateAsync_NoFinishReason_IsAFaultThatNamesIt(string text, string cause)
    {
        var (engine, body, _) = await StartAsync(text);
        await using var _ = engine;
        body.Close();

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine));

        Assert.Equal((Fault.NoFinish, $"the engine: the stream ended {cause}"), (exception.Fault, exception.Message));
    }

    [Theory]
    [InlineData("event: error\ndata: {\"message\":\"out of memory\",\"code\":500}\n\n", "out of memory")]
    [InlineData("event: error\ndata: out of memory\n\n", "out of memory")]
    [InlineData("event: error\ndata:\n\n", "the engine gives no cause")]
    public async Task GenerateAsync_ErrorEventWithoutAnErrorMember_IsAnErrorWithItsCause(string text, string cause)
    {
        var (engine, _, _) = await StartAsync(A + text);
        await using var _ = engine;

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine));

        Assert.Equal((Fault.EngineFailed, cause), (exception.Fault, exception.Engine!.Message));
    }

    [Fact]
    public async Task GenerateAsync_FinishReasonOfOtherWords_IsAnEndWithThatWord()
    {
        var (engine, body, _) = await StartAsync(A + Stop.Replace("stop", "repetition", StringComparison.Ordinal) + Done);
        await using var _ = engine;
        body.Close();

        var frames = await FramesOf(engine);

        Assert.Equal(new Finish { Reason = FinishReason.Stop, RawReason = "repetition" }, frames[^1].Finish);
    }

    [Fact]
    public async Task GenerateAsync_CommentsOnly_AreLifeOnceASecond()
    {
        var (engine, body, time) = await StartAsync(A);
        await using var _ = engine;
        await using var frames = engine.GenerateAsync(Chat(), Cancellation).GetAsyncEnumerator(Cancellation);
        Assert.True(await frames.MoveNextAsync() && await frames.MoveNextAsync());

        var next = frames.MoveNextAsync().AsTask();
        await body.Waiting(reads: 2);
        time.Advance(TimeSpan.FromSeconds(0.5));
        body.Send(": ping\n\n");
        await body.Waiting(reads: 3);
        Assert.False(next.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.5));
        body.Send(":");

        Assert.True(await next);
        Assert.Equal(new GenerateFrame { EngineAlive = true }, frames.Current);
    }

    private static GenerateRequest Chat() => new() { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") } };

    private static async Task<(IInferenceEngine Engine, OpenBody Body, FakeTimeProvider Time)> StartAsync(string text)
    {
        var body = new OpenBody();
        body.Send(text);
        var time = new FakeTimeProvider();
        var options = new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test"), Kind = "ollama", Slots = 1 };
        var engine = await OpenAiEngineFactory.ConnectAsync(options, time, () => new StreamServer(Dialogues.Ollama().On("/api/ps", """{"models":[]}"""), body), Cancellation);
        return (engine, body, time);
    }

    private static async Task<List<GenerateFrame>> FramesOf(IInferenceEngine engine)
    {
        var frames = new List<GenerateFrame>();
        await foreach (var frame in engine.GenerateAsync(Chat(), Cancellation))
        {
            frames.Add(frame);
        }

        return frames;
    }

    private sealed class StreamServer(HttpMessageHandler server, Stream body) : DelegatingHandler(server)
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            request.Method == HttpMethod.Post && request.RequestUri!.AbsolutePath.StartsWith("/v1/", StringComparison.Ordinal)
                ? Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK) { Content = new StreamContent(body) })
                : base.SendAsync(request, cancellationToken);
    }

    /// <summary>The body of an answer whose connection stays open until it is closed.</summary>
    private sealed class OpenBody : Stream
    {
        private readonly System.IO.Pipelines.Pipe _pipe = new(new System.IO.Pipelines.PipeOptions(pauseWriterThreshold: 0));
        private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly SemaphoreSlim _reads = new(0);
        private Stream? _reader;
        private int _seen;

        /// <summary>Completes when the reader has closed it.</summary>
        public Task Closed => _closed.Task;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public void Send(string text)
        {
            _pipe.Writer.Write(Encoding.UTF8.GetBytes(text));
            Assert.True(_pipe.Writer.FlushAsync(Cancellation).AsTask().IsCompletedSuccessfully);
        }

        public override void Close()
        {
            _pipe.Writer.Complete();
            _closed.TrySetResult();
        }

        /// <summary>Waits until that many reads have begun in all.</summary>
        public async Task Waiting(int reads)
        {
            for (; _seen < reads; _seen++)
            {
                await _reads.WaitAsync(Cancellation);
            }
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            _reads.Release();
            return await (_reader ??= _pipe.Reader.AsStream()).ReadAsync(buffer, cancellationToken);
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
