using Google.Rpc;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

/// <summary>Correct and incorrect use of the bus by third-party gateways.</summary>
public class BusTests
{
    private static readonly BusStart Start = new() { Stream = 7, WindowBytes = 1024, Request = new GenerateRequest { Attempt = 1 } };

    [Fact]
    public async Task Bus_NoCredit_HoldsTheFramesBackUntilThereIsSome()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        using var bus = new TestBus(replica);
        engine.Say(ScriptedEngine.StartFrame, ScriptedEngine.Token(0, new string('x', 2000)));
        await bus.SayAsync(new BusOrders { Start = { Start } });
        Assert.NotNull((await bus.NextFrameAsync()).Start);
        Assert.Equal(2000, (await bus.NextFrameAsync()).Text.Length);
        engine.Say(ScriptedEngine.Token(1), ScriptedEngine.FinishFrame);
        await replica.Control.WhenIdleAsync(replica.Token);

        var next = bus.NextFrameAsync();
        await replica.Client.DescribeAsync(new DescribeRequest(), cancellationToken: replica.Token);
        Assert.False(next.IsCompleted);
        await bus.SayAsync(new BusOrders { Credit = { new BusCredit { Stream = 7, Bytes = 4000 } } });

        var last = await next;
        Assert.Equal((1u, 7ul), (last.FirstIndex, last.Stream));
        Assert.Equal(FinishReason.Length, (last.Finish ?? (await bus.NextFrameAsync()).Finish).Reason);
        Assert.Equal(new BusEnd { Stream = 7 }, await bus.NextEndAsync());
    }

    [Fact]
    public async Task Bus_FrameTooLongForAllOthers_EndsThatAttempt()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        using var bus = new TestBus(replica);
        engine.Say(ScriptedEngine.StartFrame, ScriptedEngine.Token(0, new string('x', 1 << 20)));
        await bus.SayAsync(new BusOrders { Start = { Start } });

        var status = Google.Rpc.Status.Parser.ParseFrom((await bus.NextEndAsync()).Status);

        Assert.Equal((int)Code.Internal, status.Code);
        Assert.EndsWith("at most 1048576 go over a bus", status.Message);
        await engine.Stopped.WaitAsync(TestReplica.Deadline);
    }

    [Fact]
    public async Task Bus_GatewayGone_StopsTheEngine()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        var bus = new TestBus(replica);
        engine.Say(ScriptedEngine.StartFrame);
        await bus.SayAsync(new BusOrders { Start = { Start } });
        await bus.NextFrameAsync();

        bus.Dispose();

        await engine.Stopped.WaitAsync(TestReplica.Deadline);
        await replica.Control.WhenIdleAsync(replica.Token);
    }

    [Fact]
    public async Task Bus_StartAndCancelInOneMessage_LeavesNothingRunning()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        using var bus = new TestBus(replica);

        await bus.SayAsync(new BusOrders { Start = { Start }, Cancel = { 7, 8 }, Credit = { new BusCredit { Stream = 9, Bytes = 1 } } });

        var end = await bus.NextEndAsync();
        Assert.Equal((7ul, (int)Code.Cancelled), (end.Stream, Google.Rpc.Status.Parser.ParseFrom(end.Status).Code));
        await replica.Control.WhenIdleAsync(replica.Token);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1023)]
    [InlineData((1 << 20) + 1)]
    public async Task Bus_WindowOutOfRange_EndsThatAttemptWithTheReason(uint window)
    {
        await using var replica = await TestReplica.StartAsync(new ScriptedEngine());
        using var bus = new TestBus(replica);

        await bus.SayAsync(new BusOrders { Start = { new BusStart { Stream = 1, WindowBytes = window, Request = new GenerateRequest() } } });

        var status = Google.Rpc.Status.Parser.ParseFrom((await bus.NextEndAsync()).Status);
        Assert.Equal((int)Code.InvalidArgument, status.Code);
        Assert.Equal($"window_bytes is {window}; allowed: 1024 to 1048576", status.Message);
        Assert.Equal("INVALID_REQUEST", status.GetDetail<ErrorInfo>().Reason);
    }

    [Fact]
    public async Task Bus_StartWithoutRequest_EndsThatAttemptWithTheReason()
    {
        await using var replica = await TestReplica.StartAsync(new ScriptedEngine());
        using var bus = new TestBus(replica);

        await bus.SayAsync(new BusOrders { Start = { new BusStart { Stream = 1, WindowBytes = 1024 } } });

        Assert.Equal((int)Code.InvalidArgument, Google.Rpc.Status.Parser.ParseFrom((await bus.NextEndAsync()).Status).Code);
    }

    [Fact]
    public async Task Bus_StreamNumberUsedTwice_EndsTheBusAndAllOnIt()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        using var bus = new TestBus(replica);
        await bus.SayAsync(new BusOrders { Start = { Start } });

        await bus.SayAsync(new BusOrders { Start = { Start } });

        Assert.Equal(StatusCode.InvalidArgument, (await bus.FailureAsync()).StatusCode);
        await replica.Control.WhenIdleAsync(replica.Token);
    }

    [Fact]
    public async Task Bus_MoreAttemptsThanABusMayHave_EndsTheBus()
    {
        await using var replica = await TestReplica.StartAsync(new ScriptedEngine(), new ReplicaOptions { MaxStreamsPerConnection = 2 });
        using var bus = new TestBus(replica);
        var orders = new BusOrders();
        for (var stream = 1ul; stream <= 3; stream++)
        {
            orders.Start.Add(new BusStart { Stream = stream, WindowBytes = 1024, Request = new GenerateRequest() });
        }

        await bus.SayAsync(orders);

        Assert.Equal(StatusCode.ResourceExhausted, (await bus.FailureAsync()).StatusCode);
        await replica.Control.WhenIdleAsync(replica.Token);
    }

    [Fact]
    public async Task Bus_GatewayThatNeverReads_IsCutOffAfterTheWriteTimeout()
    {
        var time = new FakeTimeProvider();
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine, time: time);
        using var bus = new TestBus(replica);
        engine.Say(ScriptedEngine.StartFrame);
        // Frames of many streams, until one is blocked by HTTP/2 flow control.
        for (var i = 0u; i < 40; i++)
        {
            engine.Say(ScriptedEngine.Token(i, new string('x', 1_000_000)));
        }

        await bus.SayAsync(new BusOrders { Start = { new BusStart { Stream = 7, WindowBytes = 1 << 20, Request = new GenerateRequest() } } });
        for (var i = 0; i < 40; i++)
        {
            await bus.SayAsync(new BusOrders { Credit = { new BusCredit { Stream = 7, Bytes = 1 << 20 } } });
        }

        while (!engine.Stopped.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(250));
            await replica.Client.DescribeAsync(new DescribeRequest(), cancellationToken: replica.Token);
        }

        await replica.Control.WhenIdleAsync(replica.Token);
    }

    [Fact]
    public async Task Bus_RefusedGateway_IsOfferedTheNextFreeSlotAndMayDecline()
    {
        var engine = new ScriptedEngine { Slots = 1 };
        // The clock does not advance: an offer ends only when it is taken or declined.
        await using var replica = await TestReplica.StartAsync(engine, time: new FakeTimeProvider());
        using var otherBus = new TestBus(replica);
        using var waiter = new TestBus(replica);
        engine.Say(ScriptedEngine.StartFrame);
        await otherBus.SayAsync(new BusOrders { Start = { Ask("gateway-1", stream: 1, waitedMs: 0) } });
        await otherBus.NextFrameAsync();
        await waiter.SayAsync(new BusOrders { Start = { Ask("gateway-2", stream: 1, waitedMs: 3000) } });
        Assert.True(RefusalIn(await waiter.NextEndAsync()).RemembersCaller);

        engine.Say(ScriptedEngine.FinishFrame);
        var offer = await waiter.NextOfferAsync();
        await otherBus.SayAsync(new BusOrders { Start = { Ask("gateway-1", stream: 2, waitedMs: 100) } });
        await otherBus.NextEndAsync();
        Assert.Equal(1u, RefusalIn(await otherBus.NextEndAsync()).Running);
        await waiter.SayAsync(new BusOrders { Decline = { offer } });

        Assert.NotEqual(0u, await otherBus.NextOfferAsync());
        engine.Say(ScriptedEngine.StartFrame);
        await otherBus.SayAsync(new BusOrders { Start = { Ask("gateway-1", stream: 3, waitedMs: 100) } });
        Assert.Equal(3ul, (await otherBus.NextStartAsync()).Stream);
    }

    [Fact]
    public async Task Bus_OfferedGatewayDies_TheSlotIsFreeAgain()
    {
        var engine = new ScriptedEngine { Slots = 1 };
        await using var replica = await TestReplica.StartAsync(engine, time: new FakeTimeProvider());
        using var other = new TestBus(replica);
        var waiter = new TestBus(replica);
        engine.Say(ScriptedEngine.StartFrame);
        await other.SayAsync(new BusOrders { Start = { Ask("gateway-1", stream: 1, waitedMs: 0) } });
        await other.NextFrameAsync();
        await waiter.SayAsync(new BusOrders { Start = { Ask("gateway-2", stream: 1, waitedMs: 3000) } });
        await waiter.NextEndAsync();
        engine.Say(ScriptedEngine.FinishFrame);
        await waiter.NextOfferAsync();
        Assert.Equal(1u, replica.Control.Report().Running);

        waiter.Dispose();

        while (replica.Control.Report().Running != 0)
        {
            await replica.Client.DescribeAsync(new DescribeRequest(), cancellationToken: replica.Token);
        }
    }

    private static BusStart Ask(string gateway, ulong stream, uint waitedMs) => new()
    {
        Stream = stream, WindowBytes = 1024, Request = new GenerateRequest { Attempt = 1, Caller = gateway, WaitedMs = waitedMs },
    };

    private static LoadReport RefusalIn(BusEnd end) => Google.Rpc.Status.Parser.ParseFrom(end.Status).GetDetail<SlotRefusal>().Load;
}
