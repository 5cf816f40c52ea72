using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

public class StandbyTests
{
    private const string Session = "0123456789abcdef0123456789abcdef";
    private const string Names = $"session '{Session}', choice 1, attempt 2";
    private static readonly GenerateRequest Request = new() { Text = "Tell me.", MaxTokens = 12, Logprobs = 1, Sampling = new Sampling { Seed = 4 } };

    private readonly IInferenceEngine _engine = SimulatedEngineFactory.Create(new SimulatedEngineOptions { Slots = 2 }, TimeProvider.System);

    [Fact]
    public async Task Generate_HeldAtAnyTokenAndContinuedAtAnyLaterOne_GoesOnExactly()
    {
        await using var replica = await TestReplica.StartAsync(_engine);
        var undisturbed = await UndisturbedAsync();
        for (var resumedAt = 0; resumedAt <= Request.MaxTokens; resumedAt++)
        {
            for (var cut = resumedAt; cut <= Request.MaxTokens; cut++)
            {
                using var call = replica.Generate(Standby(undisturbed, resumedAt));
                var start = await call.NextAsync();
                await replica.Client.ContinueAsync(Continued(undisturbed, resumedAt, cut), cancellationToken: replica.Token);
                var rest = await call.RestAsync();

                Assert.Equal((uint)resumedAt, start.Start.ResumedAt);
                Assert.All(rest, frame => Assert.Equal((2u, 1u), (frame.Attempt, frame.Choice)));
                var expected = undisturbed[(cut + 1)..];
                Assert.Equal((uint)cut, rest.First(frame => frame.Count > 0 || frame.Finish is not null).FirstIndex);
                Assert.Equal(expected.SelectMany(frame => frame.TokenIds), rest.SelectMany(frame => frame.TokenIds));
                Assert.Equal(expected.SelectMany(frame => frame.Text), rest.SelectMany(frame => frame.Text));
                Assert.Equal(expected.SelectMany(frame => frame.Logprobs), rest.SelectMany(frame => frame.Logprobs));
                Assert.Equal(expected[^1].Finish, rest[^1].Finish);
            }
        }
    }

    [Fact]
    public async Task Generate_Held_KeepsItsSlotAndBeatsUntilItIsContinued()
    {
        var time = new FakeTimeProvider();
        await using var replica = await TestReplica.StartAsync(_engine, time: time);
        var undisturbed = await UndisturbedAsync();
        var request = Standby(undisturbed, 3);
        request.Caller = "gateway-1";
        using var call = replica.Generate(request);
        var start = await call.NextAsync();

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(new GenerateFrame { Attempt = 2, Choice = 1 }, await AdvanceUntilAsync(replica, time, call.NextOrBeatAsync()));
        }

        Assert.Equal((1u, 1u), (start.Load.Running, start.Load.RunningForCaller));
        Assert.Equal(1u, replica.Control.Report().Running);
        await replica.Client.ContinueAsync(Continued(undisturbed, 3, 5), cancellationToken: replica.Token);
        Assert.Equal(0u, (await call.RestAsync())[^1].Load.Running);
    }

    [Fact]
    public async Task Continue_BeforeTheStartFrame_GoesOnAsSoonAsItIsWarm()
    {
        var time = new FakeTimeProvider();
        await using var engine = SimulatedEngineFactory.Create(new SimulatedEngineOptions { PrefillTokensPerSecond = 1 }, time);
        await using var replica = await TestReplica.StartAsync(engine, time: time);
        var undisturbed = await UndisturbedAsync();
        using var call = replica.Generate(Standby(undisturbed, 3));
        Assert.Null((await AdvanceUntilAsync(replica, time, call.NextOrBeatAsync())).Start); // a heartbeat: it is still reading

        await replica.Client.ContinueAsync(Continued(undisturbed, 3, 5), cancellationToken: replica.Token);
        var rest = await AdvanceUntilAsync(replica, time, call.RestAsync());

        Assert.Equal(3u, rest.Single(frame => frame.Start is not null).Start.ResumedAt);
        Assert.Equal(undisturbed[6..].SelectMany(frame => frame.TokenIds), rest.SelectMany(frame => frame.TokenIds));
    }

    [Fact]
    public async Task Generate_HeldAndNotContinuedInTime_IsDroppedAndFreesItsSlot()
    {
        var time = new FakeTimeProvider();
        await using var replica = await TestReplica.StartAsync(_engine, new ReplicaOptions { StandbyTimeout = TimeSpan.FromSeconds(7) }, time);
        var undisturbed = await UndisturbedAsync();
        using var call = replica.Generate(Standby(undisturbed, 3));
        await call.NextAsync();

        var failure = await AdvanceUntilAsync(replica, time, call.FailureAsync());

        Assert.Equal(
            (StatusCode.Aborted, $"the standby attempt of {Names} was not continued within 7 s"), (failure.StatusCode, failure.Status.Detail));
        Assert.Equal("HOLD_REFUSED", ReasonOf(failure));
        Assert.Equal(0u, replica.Control.Report().Running);
        Assert.Equal(StatusCode.NotFound, (await RefusalAsync(replica, Continued(undisturbed, 3, 5))).StatusCode);
    }

    [Fact]
    public async Task Generate_HeldAndCancelled_IsGoneAtOnce()
    {
        await using var replica = await TestReplica.StartAsync(_engine);
        var undisturbed = await UndisturbedAsync();
        using var cancel = new CancellationTokenSource();
        using var call = replica.Generate(Standby(undisturbed, 3), cancel.Token);
        await call.NextAsync();

        await cancel.CancelAsync();
        await replica.Control.WhenIdleAsync(replica.Token);

        var refusal = await RefusalAsync(replica, Continued(undisturbed, 3, 5));
        Assert.Equal((StatusCode.NotFound, $"no standby attempt of {Names} exists here"), (refusal.StatusCode, refusal.Status.Detail));
        Assert.Equal("HOLD_REFUSED", ReasonOf(refusal));
    }

    [Fact]
    public async Task Continue_Twice_IsRefusedAndDisturbsNothing()
    {
        await using var engine = SimulatedEngineFactory.Create(
            new SimulatedEngineOptions { EnableFaults = true, Faults = [new SimulatedFault(SimulatedFaultKind.Stall, 8, Attempt: 0)] }, TimeProvider.System);
        await using var replica = await TestReplica.StartAsync(engine);
        var undisturbed = await UndisturbedAsync();
        using var call = replica.Generate(Standby(undisturbed, 3));
        await call.NextAsync();
        await replica.Client.ContinueAsync(Continued(undisturbed, 3, 5), cancellationToken: replica.Token);

        var refusal = await RefusalAsync(replica, Continued(undisturbed, 3, 6));

        Assert.Equal((StatusCode.FailedPrecondition, $"the standby attempt of {Names} was continued or given up before"), (refusal.StatusCode, refusal.Status.Detail));
        Assert.Equal(5u, (await call.NextAsync()).FirstIndex);
    }

    [Fact]
    public async Task Continue_ThatDoesNotFit_IsRefusedAndTheHoldGoesOn()
    {
        await using var replica = await TestReplica.StartAsync(_engine);
        var undisturbed = await UndisturbedAsync();
        using var call = replica.Generate(Standby(undisturbed, 3));
        await call.NextAsync();
        var (early, short_, nameless) = (Continued(undisturbed, 3, 5), Continued(undisturbed, 3, 5), Continued(undisturbed, 3, 5));
        (early.NextIndex, short_.NextIndex, nameless.Session) = (2, 6, "");

        await RefusedAsync(early, "next_index is 2; allowed: from 3, where the standby attempt began");
        await RefusedAsync(short_, "token_ids has 2 ids; allowed: none or 3, from 3, where the standby attempt began, to next_index 6");
        await RefusedAsync(nameless, "session is empty; allowed for a standby attempt: 1 to 128 bytes of printable ASCII");
        await replica.Client.ContinueAsync(Continued(undisturbed, 3, 5), cancellationToken: replica.Token);
        Assert.NotNull((await call.RestAsync())[^1].Finish);

        async Task RefusedAsync(ContinueRequest request, string message)
        {
            var refusal = await RefusalAsync(replica, request);
            Assert.Equal((StatusCode.InvalidArgument, message), (refusal.StatusCode, refusal.Status.Detail));
        }
    }

    [Theory]
    [InlineData("ids", "resume.text is not what the resumed ids begin with")]
    [InlineData("fingerprint", "resume.fingerprint is 'other'")]
    public async Task Continue_WithAJournalTheEngineRefuses_EndsTheCall(string flaw, string message)
    {
        await using var replica = await TestReplica.StartAsync(_engine);
        var undisturbed = await UndisturbedAsync();
        using var call = replica.Generate(Standby(undisturbed, 3));
        await call.NextAsync();
        var request = Continued(undisturbed, 3, 5);
        (request.TokenIds[0], request.Fingerprint) = flaw == "ids" ? (request.TokenIds[1], "") : (request.TokenIds[0], "other");

        await replica.Client.ContinueAsync(request, cancellationToken: replica.Token);
        var failure = await call.FailureAsync();

        Assert.Equal((StatusCode.FailedPrecondition, "RESUME_REFUSED"), (failure.StatusCode, ReasonOf(failure)));
        Assert.StartsWith(message, failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Generate_HoldThatCannotBe_IsRefused()
    {
        await using var replica = await TestReplica.StartAsync(_engine);
        var undisturbed = await UndisturbedAsync();
        var request = Standby(undisturbed, 3);
        var (nameless, another) = (request.Clone(), request.Clone());
        (nameless.Session, another.Attempt) = ("", 3);
        using var first = replica.Generate(request);
        await first.NextAsync();

        Assert.Equal((StatusCode.AlreadyExists, $"a standby attempt of {Names} exists already"), await RefusedAsync(request));
        Assert.Equal(
            (StatusCode.InvalidArgument, "session is empty; allowed for a standby attempt: 1 to 128 bytes of printable ASCII"), await RefusedAsync(nameless));
        using var second = replica.Generate(another);
        await second.NextAsync();
        Assert.Equal((StatusCode.ResourceExhausted, "no free slot: 2 of 2 are in use"), await RefusedAsync(request));
        replica.Control.Drain();
        Assert.Equal((StatusCode.Unavailable, "the replica is draining"), await RefusedAsync(request));
        await replica.Client.ContinueAsync(Continued(undisturbed, 3, 3), cancellationToken: replica.Token);
        Assert.NotNull((await first.RestAsync())[^1].Finish);

        async Task<(StatusCode, string)> RefusedAsync(GenerateRequest refused)
        {
            using var call = replica.Generate(refused);
            var failure = await call.FailureAsync();
            return (failure.StatusCode, failure.Status.Detail);
        }
    }

    /// <summary>A start frame, one frame per token, a finish frame.</summary>
    private async Task<List<GenerateFrame>> UndisturbedAsync()
    {
        var frames = new List<GenerateFrame>();
        await foreach (var frame in _engine.GenerateAsync(Request, TestContext.Current.CancellationToken))
        {
            frames.Add(frame);
        }

        return frames;
    }

    private static GenerateRequest Standby(List<GenerateFrame> undisturbed, int tokens)
    {
        var start = undisturbed[0].Start;
        return new GenerateRequest(Request)
        {
            Session = Session,
            Choice = 1,
            Attempt = 2,
            Hold = true,
            Resume = tokens == 0 ? null : new Resume
            {
                TokenIds = { Ids(undisturbed, 0, tokens) },
                Text = Text(undisturbed, 0, tokens),
                NextIndex = (uint)tokens,
                PromptTokenIds = { start.PromptTokenIds },
                Fingerprint = start.Fingerprint,
            },
        };
    }

    private static ContinueRequest Continued(List<GenerateFrame> undisturbed, int resumedAt, int cut) => new()
    {
        Session = Session,
        Choice = 1,
        Attempt = 2,
        TokenIds = { Ids(undisturbed, resumedAt, cut) },
        Text = Text(undisturbed, resumedAt, cut),
        NextIndex = (uint)cut,
        Fingerprint = resumedAt == 0 ? undisturbed[0].Start.Fingerprint : "",
    };

    private static IEnumerable<uint> Ids(List<GenerateFrame> undisturbed, int from, int to) =>
        undisturbed[(from + 1)..(to + 1)].SelectMany(frame => frame.TokenIds);

    private static ByteString Text(List<GenerateFrame> undisturbed, int from, int to) =>
        ByteString.CopyFrom([.. undisturbed[(from + 1)..(to + 1)].SelectMany(frame => frame.Text)]);

    private static Task<RpcException> RefusalAsync(TestReplica replica, ContinueRequest request) =>
        Assert.ThrowsAsync<RpcException>(async () => await replica.Client.ContinueAsync(request, cancellationToken: replica.Token));

    private static string? ReasonOf(RpcException exception) => exception.GetRpcStatus()?.GetDetail<ErrorInfo>()?.Reason;

    // The call in between keeps virtual time from running hours ahead of real work such as a write.
    private static async Task<T> AdvanceUntilAsync<T>(TestReplica replica, FakeTimeProvider time, Task<T> awaited)
    {
        while (!awaited.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(125));
            await replica.Client.DescribeAsync(new DescribeRequest(), cancellationToken: replica.Token);
        }

        return await awaited;
    }
}
