using System.Runtime.CompilerServices;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Links;

/// <summary>Calls that are not generation, over each kind of link.</summary>
public sealed class InvokeTests
{
    public static TheoryData<LinkKind> Kinds => [.. Enum.GetValues<LinkKind>()];

    private static InvokeRequest Call => new() { Path = "/v1/embeddings", Model = "m", Body = ByteString.CopyFromUtf8("question") };

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Invoke_Answer_ArrivesAsTheEngineSaysIt(LinkKind kind)
    {
        const int Parts = 200;
        var asked = new List<InvokeRequest>();
        var engine = new KeyedEngine { Invoke = (request, _) => AnswerAsync(request) };
        await using var world = await LinkWorld.StartAsync(kind, engine);

        var frames = await ReadAsync(world);

        Assert.Equal(Call, Assert.Single(asked));
        Assert.Equal((201u, "audio/mpeg"), (frames[0].Start.Status, frames[0].Start.ContentType));
        Assert.Equal(Parts * 20_000, frames.Sum(frame => frame.Body.Length));
        await world.Control.WhenIdleAsync(world.Token);

        async IAsyncEnumerable<InvokeFrame> AnswerAsync(InvokeRequest request)
        {
            asked.Add(request.Clone());
            await Task.Yield();
            yield return new InvokeFrame { Start = new InvokeStart { Status = 201, ContentType = "audio/mpeg" } };
            for (var i = 0; i < Parts; i++)
                yield return new InvokeFrame { Body = ByteString.CopyFrom(new byte[20_000]) };
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Invoke_Fault_KeepsItsKindWordsAndParam(LinkKind kind)
    {
        var engine = new KeyedEngine
        {
            Invoke = (_, _) => throw new FaultException(Fault.Unsupported, "no") { Param = "input", Engine = new EngineError(404, "no such path") },
        };
        await using var world = await LinkWorld.StartAsync(kind, engine);

        var fault = await Assert.ThrowsAsync<FaultException>(() => ReadAsync(world));

        Assert.Equal((Fault.Unsupported, "input", new EngineError(404, "no such path")), (fault.Fault, fault.Param, fault.Engine));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Invoke_EngineThatFailsInItsAnswer_IsAFaultAfterWhatCame(LinkKind kind)
    {
        var engine = new KeyedEngine { Invoke = (_, _) => BreakAsync() };
        await using var world = await LinkWorld.StartAsync(kind, engine);
        var came = 0;

        var fault = await Assert.ThrowsAsync<FaultException>(async () =>
        {
            await foreach (var frame in world.Link.InvokeAsync(world.Replica, Call, world.Token))
                came += frame.Body.Length;
        });

        Assert.Equal((4, Fault.ConnectionLost), (came, fault.Fault));

        static async IAsyncEnumerable<InvokeFrame> BreakAsync()
        {
            await Task.Yield();
            yield return new InvokeFrame { Start = new InvokeStart { Status = 200 } };
            yield return new InvokeFrame { Body = ByteString.CopyFromUtf8("part") };
            throw new FaultException(Fault.ConnectionLost, "reset");
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Invoke_CallerThatLeaves_StopsTheEngineAndFreesTheSlot(LinkKind kind)
    {
        var stopped = new TaskCompletionSource();
        var engine = new KeyedEngine { Invoke = (_, cancellationToken) => HangAsync(cancellationToken) };
        await using var world = await LinkWorld.StartAsync(kind, engine);
        using var leave = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var frame in world.Link.InvokeAsync(world.Replica, Call, leave.Token))
                await leave.CancelAsync();
        });

        await stopped.Task.WaitAsync(LinkWorld.Deadline);
        await world.Control.WhenIdleAsync(world.Token);

        async IAsyncEnumerable<InvokeFrame> HangAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            yield return new InvokeFrame { Start = new InvokeStart { Status = 200 } };
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            }
            finally
            {
                stopped.SetResult();
            }
        }
    }

    /// <summary>A replica refuses what would change its engine, whoever asks.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Invoke_PathThatAdministersTheEngine_IsRefusedByTheReplica(LinkKind kind)
    {
        await using var world = await LinkWorld.StartAsync(kind, new KeyedEngine());

        var fault = await Assert.ThrowsAsync<FaultException>(async () =>
        {
            await foreach (var _ in world.Link.InvokeAsync(world.Replica, new InvokeRequest { Path = "/v1/load_lora_adapter" }, world.Token))
                Assert.Fail("an answer came");
        });

        Assert.Equal(Fault.Unsupported, fault.Fault);
    }

    private static async Task<List<InvokeFrame>> ReadAsync(LinkWorld world)
    {
        var frames = new List<InvokeFrame>();
        await foreach (var frame in world.Link.InvokeAsync(world.Replica, Call, world.Token))
            frames.Add(frame);
        return frames;
    }
}
