using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Routing.Tests.Support;

/// <summary>What a replica does to an attempt, instead of or before a token.</summary>
internal enum Act
{
    Answer,
    BreakConnection,
    RefuseConnection,
    FailEngine,
    EndWithoutFinish,
    SkipToken,
    RepeatToken,
    RefuseForSlots,
    RefuseRequest,
    Drain,
    Hang,

    /// <summary>Signs of life, but no token, until the attempt is aborted.</summary>
    Idle,
}

/// <summary>An attempt as the link saw it.</summary>
internal sealed record SeenAttempt(string Replica, uint Attempt, uint Choice, int ResumedAt, ulong Seed, bool IsStandby);

/// <summary>
/// A replica fleet in memory. Token i is a function of seed and i; every third token holds its text back for the next one, as engines do
/// with half characters. <see cref="Script"/> decides what happens at each (replica, attempt, index).
/// </summary>
internal sealed class ScriptedLink : IReplicaLink
{
    public Func<string, uint, int, Act> Script { get; set; } = (_, _, _) => Act.Answer;

    /// <summary>What ends an attempt before its start frame, by replica and attempt; null: nothing.</summary>
    public Func<string, GenerateRequest, FaultException?> Refuse { get; set; } = (_, _) => null;

    /// <summary>When set, each token waits until the test lets it go.</summary>
    public Channel<int>? Gate { get; set; }

    public ConcurrentQueue<SeenAttempt> Attempts { get; } = [];

    /// <summary>Completed when an attempt ended before its finish.</summary>
    public TaskCompletionSource Aborted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Func<string, bool> Answers { get; set; } = _ => true;

    private readonly ConcurrentDictionary<(uint Choice, uint Attempt), TaskCompletionSource<ContinueRequest>> _standbys = [];
    private int _running;
    private int _reading;
    private int _mostReading;

    /// <summary>What the replicas say of every request. Default exact.</summary>
    public ResumeTier Tier { get; set; } = ResumeTier.Exact;

    /// <summary>Whether answers have ids; without them an index is a chunk. Default true.</summary>
    public bool GivesIds { get; set; } = true;

    /// <summary>Added to the seed from the second attempt on: the answer is another one then.</summary>
    public ulong SeedDrift { get; set; }

    /// <summary>Completed when standby attempts may report that they are ready. Default completed.</summary>
    public Task StandbyReady { get; set; } = Task.CompletedTask;

    /// <summary>Most attempts that waited for <see cref="StandbyReady"/> at the same time.</summary>
    public int MaxPreparingStandbys => Volatile.Read(ref _mostReading);

    /// <summary>Decides what Continue answers; the default lets the attempt go on.</summary>
    public Func<FaultException?> OnContinue { get; set; } = () => null;

    /// <summary>Completed when Continue may be answered. Default completed.</summary>
    public Task ContinueAnswered { get; set; } = Task.CompletedTask;

    public int Running => Volatile.Read(ref _running);

    public static string TextOf(ulong seed, int count) => string.Concat(Enumerable.Range(0, count).Select(i => Piece(seed, i)));

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var name = replica.Id.Name;
        var next = (int)(request.Resume?.NextIndex ?? 0);
        Attempts.Enqueue(new SeenAttempt(name, request.Attempt, request.Choice, next, request.Sampling.Seed, request.Hold));
        Interlocked.Increment(ref _running);
        var isWhole = false;
        try
        {
            CheckResume(request, next);
            if (Refuse(name, request) is { } refusal)
                throw refusal;
            await ActAsync(Script(name, request.Attempt, -1), replica, cancellationToken);
            if (request.Hold)
            {
                var reading = Interlocked.Increment(ref _reading);
                while (Volatile.Read(ref _mostReading) is var most && most < reading && Interlocked.CompareExchange(ref _mostReading, reading, most) != most)
                {
                }
                await StandbyReady.WaitAsync(cancellationToken);
                Interlocked.Decrement(ref _reading);
                Assert.True(_standbys.TryAdd((request.Choice, request.Attempt), new(TaskCreationOptions.RunContinuationsAsynchronously)));
            }
            yield return Frame(request, frame => frame.Start = new Start
            {
                Fingerprint = replica.Description.FingerprintOf(request.Model), ResumedAt = (uint)next, ResumeTier = Tier, Unit = GivesIds ? TokenUnit.Token : TokenUnit.Chunk,
            });
            var delivered = request.Resume?.Text.Length ?? 0;
            if (request.Hold)
                (next, delivered) = await ContinuedAsync(request, next, delivered, cancellationToken);
            var seed = request.Sampling.Seed + (request.Attempt > 1 ? SeedDrift : 0);
            for (var i = next; i < request.MaxTokens; i++)
            {
                var act = Script(name, request.Attempt, i);
                if (act == Act.EndWithoutFinish)
                    yield break;
                while (act == Act.Idle)
                {
                    await Task.Yield();
                    cancellationToken.ThrowIfCancellationRequested();
                    yield return Frame(request, _ => { });
                    act = Script(name, request.Attempt, i);
                }
                await ActAsync(act, replica, cancellationToken);
                if (Gate is not null)
                    await Gate.Reader.ReadAsync(cancellationToken);
                var index = act == Act.SkipToken ? i + 1 : act == Act.RepeatToken ? Math.Max(0, i - 1) : i;
                var released = i % 3 == 0 && i + 1 < request.MaxTokens ? TextOf(seed, i) : TextOf(seed, i + 1);
                var text = released[delivered..];
                delivered = released.Length;
                yield return Frame(request, frame =>
                {
                    frame.FirstIndex = (uint)index;
                    frame.Count = 1;
                    if (GivesIds)
                        frame.TokenIds.Add((uint)Id(seed, i));
                    frame.Text = ByteString.CopyFromUtf8(text);
                });
            }
            var last = Script(name, request.Attempt, (int)request.MaxTokens);
            if (last == Act.EndWithoutFinish)
                yield break;
            await ActAsync(last, replica, cancellationToken);
            isWhole = true;
            yield return Frame(request, frame => frame.Finish = new Finish { Reason = FinishReason.Length, Usage = new Usage { CompletionTokens = request.MaxTokens } });
        }
        finally
        {
            Interlocked.Decrement(ref _running);
            if (!isWhole)
                Aborted.TrySetResult();
        }
    }

    public async Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken)
    {
        if (OnContinue() is { } refusal)
            throw refusal;
        await ContinueAnswered.WaitAsync(cancellationToken);
        _standbys[(request.Choice, request.Attempt)].SetResult(request);
    }

    public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) =>
        Answers(replica.Id.Name) ? Task.CompletedTask : throw new FaultException(Fault.Unreachable, "still down");

    private async Task<(int Next, int Delivered)> ContinuedAsync(GenerateRequest request, int next, int delivered, CancellationToken cancellationToken)
    {
        var more = await _standbys[(request.Choice, request.Attempt)].Task.WaitAsync(cancellationToken);
        Assert.Equal(Enumerable.Range(next, more.TokenIds.Count).Select(i => (uint)Id(request.Sampling.Seed, i)), more.TokenIds);
        Assert.Equal(GivesIds ? (int)more.NextIndex - next : 0, more.TokenIds.Count);
        return ((int)more.NextIndex, delivered + more.Text.Length);
    }

    private static async Task ActAsync(Act act, Replica replica, CancellationToken cancellationToken)
    {
        switch (act)
        {
            case Act.BreakConnection: throw new FaultException(Fault.ConnectionLost, "reset");
            case Act.RefuseConnection: throw new FaultException(Fault.Unreachable, "refused");
            case Act.FailEngine: throw new FaultException(Fault.EngineFailed, "engine failed");
            case Act.RefuseRequest: throw new FaultException(Fault.InvalidRequest, "top_p 7 is out of range");
            case Act.Drain: throw new FaultException(Fault.Draining, "draining");
            case Act.RefuseForSlots:
                throw new FaultException(Fault.NoSlot, "no slot", load: new LoadReport
                {
                    Generation = replica.Id.Generation, Sequence = 1, Slots = (uint)replica.Description.Slots, Running = (uint)replica.Description.Slots,
                });
            case Act.Hang:
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
                break;
        }
    }

    private static void CheckResume(GenerateRequest request, int next)
    {
        if (request.Resume is not { } resume)
            return;
        Assert.Equal(Enumerable.Range(0, resume.TokenIds.Count == 0 ? 0 : next).Select(i => (uint)Id(request.Sampling.Seed, i)), resume.TokenIds);
        Assert.StartsWith(resume.Text.ToStringUtf8(), TextOf(request.Sampling.Seed, next), StringComparison.Ordinal);
    }

    private static GenerateFrame Frame(GenerateRequest request, Action<GenerateFrame> fill)
    {
        var frame = new GenerateFrame { Attempt = request.Attempt, Choice = request.Choice };
        fill(frame);
        return frame;
    }

    private static int Id(ulong seed, int index) => (int)(SeededRandomSource.Mix(seed + (ulong)index) % 1000);

    private static string Piece(ulong seed, int index) => Id(seed, index).ToString(CultureInfo.InvariantCulture) + " ";
}
