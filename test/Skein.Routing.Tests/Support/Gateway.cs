using Microsoft.Extensions.Time.Testing;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Routing.Tests.Support;

/// <summary>Routing as a gateway composes it, on a fake clock and a scripted fleet.</summary>
internal sealed class Gateway : IDisposable
{
    public Gateway(StaticFleet source, AdmissionOptions? admission = null, StreamingOptions? streaming = null, IReplicaLink? link = null)
    {
        Source = source;
        Fleet = new FleetTracker(source);
        var random = new SeededRandomSource(1);
        Admission = new AdmissionQueue(admission ?? new AdmissionOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn), Fleet, Time, random);
        Sessions = new GenerationSessions(
            Fleet, Admission, link ?? Link, streaming ?? new StreamingOptions(), Statistics, Time, random, new TestLog<GenerationSessions>());
    }

    public StaticFleet Source { get; }

    public FakeTimeProvider Time { get; } = new();

    public ScriptedLink Link { get; } = new();

    public FleetTracker Fleet { get; }

    public AdmissionQueue Admission { get; }

    public RoutingStatistics Statistics { get; } = new();

    public GenerationSessions Sessions { get; }

    public static GenerateRequest Request(uint tokens = 12, ulong seed = 7, uint n = 1) => new()
    {
        Model = "m",
        Text = "p",
        N = n,
        MaxTokens = tokens,
        Sampling = new Sampling { Seed = seed },
    };

    /// <summary>Waits until a request stands in line; fails where none ever does.</summary>
    public async Task UntilWaitingAsync(int waiters = 1)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        while (Admission.Waiting < waiters)
        {
            Assert.False(deadline.IsCancellationRequested, "no request came into the line within 30 s");
            await Task.Yield();
        }
    }

    public void Dispose()
    {
        Admission.Dispose();
        Fleet.Dispose();
    }
}

/// <summary>What a client got of one choice, checked as it came.</summary>
internal sealed class Received
{
    private int _next;

    public string Text { get; private set; } = "";

    public List<uint> Ids { get; } = [];

    public List<TokenLogprob> Logprobs { get; } = [];

    public Finish? Finish { get; private set; }

    public int Starts { get; private set; }

    public void Add(GenerateFrame frame)
    {
        Assert.Null(Finish);
        Assert.Null(frame.Load);
        if (frame.Start is not null)
            Starts++;
        if (frame.Count > 0)
        {
            Assert.Equal(_next, (int)frame.FirstIndex);
            _next += (int)frame.Count;
        }
        Ids.AddRange(frame.TokenIds);
        Logprobs.AddRange(frame.Logprobs);
        Text += frame.Text.ToStringUtf8();
        Finish = frame.Finish;
    }

    /// <summary>Fails unless text, ids, log probabilities, finish reason and usage are the same.</summary>
    public void MustEqual(Received undisturbed)
    {
        Assert.Equal(undisturbed.Text, Text);
        Assert.Equal(undisturbed.Ids, Ids);
        Assert.Equal(undisturbed.Logprobs, Logprobs);
        Assert.Equal(undisturbed.Finish, Finish);
        Assert.Equal(1, Starts);
    }

    public static async Task<Received[]> AllAsync(IGenerationSession session, int choices = 1)
    {
        Received[] received = [.. Enumerable.Range(0, choices).Select(_ => new Received())];
        // A stream that hangs must fail its test, not stop the run.
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        while (await session.WaitToReadAsync(deadline.Token))
        {
            while (session.TryRead(out var frame))
                received[frame.Choice].Add(frame);
        }
        return received;
    }
}
