using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

public class ConnectionReuseTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_OneAfterTheOther_UseOneConnection()
    {
        await using var server = new RawServer((_, _) => Behaviour.Keep);
        await using var engine = await server.ConnectAsync();

        for (var i = 0; i < 50; i++)
        {
            await GenerateAsync(engine);
            await engine.CheckAsync(Cancellation);
        }

        // The end of a body may arrive after the next request has begun: now and then a second connection is made.
        Assert.InRange(server.Accepted, 1, 5);
    }

    [Fact]
    public async Task GenerateAsync_ServerClosesUnannounced_LosesNothing()
    {
        await using var server = new RawServer((_, _) => Behaviour.CloseUnannounced);
        await using var engine = await server.ConnectAsync();
        var answered = 0;

        await Parallel.ForEachAsync(Enumerable.Range(0, 800), new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Cancellation }, async (_, _) =>
        {
            await GenerateAsync(engine);
            Interlocked.Increment(ref answered);
        });

        Assert.Equal(800, answered);
    }

    [Theory]
    [InlineData((int)Behaviour.Reset)]
    [InlineData((int)Behaviour.CloseUnanswered)]
    public async Task GenerateAsync_ReusedConnectionBreaksBeforeTheAnswer_IsSentOnceMoreOnANewOne(int behaviour)
    {
        await using var server = new RawServer((method, number) => method == "POST" && number > 0 ? (Behaviour)behaviour : Behaviour.Keep);
        await using var engine = await server.ConnectAsync();
        var accepted = server.Accepted;

        await GenerateAsync(engine);

        Assert.Equal((2, accepted + 1), (server.Posts, server.Accepted));
    }

    [Fact]
    public async Task GenerateAsync_ServerClosedItsIdleConnections_LosesNothing()
    {
        await using var server = new RawServer((_, _) => Behaviour.Keep);
        await using var engine = await server.ConnectAsync();

        for (var i = 0; i < 20; i++)
        {
            server.CloseAll();
            await GenerateAsync(engine);
            server.CloseAll();
            await engine.CheckAsync(Cancellation);
        }
    }

    [Fact]
    public async Task GenerateAsync_NewConnectionBreaks_IsLostAndNotSentAgain()
    {
        await using var server = new RawServer((method, _) => method == "POST" ? Behaviour.Reset : Behaviour.CloseUnannounced);
        await using var engine = await server.ConnectAsync();
        await UntilNewConnectionsAreUsedAsync(server, engine);
        var posts = server.Posts;

        var lost = await Assert.ThrowsAsync<FaultException>(() => GenerateAsync(engine));

        Assert.Equal((Fault.ConnectionLost, posts + 1), (lost.Fault, server.Posts));
    }

    [Fact]
    public async Task GenerateAsync_BothConnectionsBreak_IsLostAfterTwoRequests()
    {
        await using var server = new RawServer((method, _) => method == "POST" ? Behaviour.Reset : Behaviour.Keep);
        await using var engine = await server.ConnectAsync();

        var lost = await Assert.ThrowsAsync<FaultException>(() => GenerateAsync(engine));

        Assert.Equal((Fault.ConnectionLost, 2), (lost.Fault, server.Posts));
    }

    [Fact]
    public async Task GenerateAsync_ReusedConnectionBreaksInTheAnswer_IsLostAndNotSentAgain()
    {
        await using var server = new RawServer((method, _) => method == "POST" ? Behaviour.CloseInHeaders : Behaviour.Keep);
        await using var engine = await server.ConnectAsync();

        var lost = await Assert.ThrowsAsync<FaultException>(() => GenerateAsync(engine));

        Assert.Equal((Fault.ConnectionLost, 1), (lost.Fault, server.Posts));
    }

    [Theory]
    [InlineData(nameof(Behaviour.ImpossibleChunk))]
    [InlineData(nameof(Behaviour.HugeChunk))]
    public async Task GenerateAsync_ChunkOfAnImpossibleSize_IsAFaultOfThatAttempt(string chunk)
    {
        await using var server = new RawServer((method, _) => method == "POST" ? Enum.Parse<Behaviour>(chunk) : Behaviour.Keep);
        await using var engine = await server.ConnectAsync();

        var fault = await Assert.ThrowsAsync<FaultException>(() => GenerateAsync(engine).WaitAsync(Cancellation));

        Assert.True(fault.Fault.Class() is FaultClass.Engine or FaultClass.Connection, $"{fault.Fault}");
        await engine.CheckAsync(Cancellation);
    }

    [Fact]
    public async Task GenerateAsync_ReaderLeavesAKeptConnection_ClosesIt()
    {
        await using var server = new RawServer((method, _) => method == "POST" ? Behaviour.Hang : Behaviour.Keep);
        await using var engine = await server.ConnectAsync();

        await foreach (var frame in engine.GenerateAsync(Chat(), Cancellation))
        {
            if (frame.Count > 0)
            {
                break;
            }
        }

        await server.Left.WaitAsync(Cancellation);
    }

    [Fact]
    public async Task CheckAsync_ManyStreamsRun_IsAnsweredBesideThem()
    {
        await using var server = new RawServer((method, _) => method == "POST" ? Behaviour.Hang : Behaviour.Keep);
        await using var engine = await server.ConnectAsync();
        var streams = new List<IAsyncEnumerator<GenerateFrame>>();
        for (var i = 0; i < 40; i++)
        {
            streams.Add(engine.GenerateAsync(Chat(), Cancellation).GetAsyncEnumerator(Cancellation));
            Assert.True(await streams[^1].MoveNextAsync() && await streams[^1].MoveNextAsync());
        }

        await engine.CheckAsync(Cancellation);

        foreach (var stream in streams)
        {
            await stream.DisposeAsync();
        }
    }

    // The client may not yet have seen that the server closed the connection of the last check: then the first request is sent twice.
    private static async Task UntilNewConnectionsAreUsedAsync(RawServer server, IInferenceEngine engine)
    {
        for (var posts = server.Posts; server.Posts != posts + 1;)
        {
            posts = server.Posts;
            await Assert.ThrowsAsync<FaultException>(() => GenerateAsync(engine));
        }
    }

    private static async Task GenerateAsync(IInferenceEngine engine)
    {
        var text = "";
        await foreach (var frame in engine.GenerateAsync(Chat(), Cancellation))
        {
            text += frame.Text.ToStringUtf8();
        }

        Assert.Equal("a", text);
    }

    private static GenerateRequest Chat() => new() { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") } };
}
