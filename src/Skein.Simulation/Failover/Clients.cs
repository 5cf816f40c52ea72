using System.Collections.Frozen;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Simulation.Failover;

/// <summary>Clients that send one request after the other and compare every token with the answer of an undisturbed engine.</summary>
internal sealed class Clients(FailoverWorld world, FailoverSettings settings)
{
    private const int Prompts = 24;

    private static readonly FrozenSet<string> NoEvidence =
        new[] { Fault.Draining, Fault.Straggler, Fault.Unreachable }.Select(reason => reason.ToWireName()).ToFrozenSet(StringComparer.Ordinal);

    private readonly ClientAnswer[] _undisturbed = new ClientAnswer[Prompts];
    private bool _stopped;

    public int Streams { get; private set; }

    public long Tokens { get; private set; }

    public List<string> Errors { get; } = [];

    /// <summary>Streams that were ended because two attempts in a row were lost without a new token.</summary>
    public int Poison { get; private set; }

    public bool HasFound => Errors.Count > 0;

    public ulong TraceHash { get; private set; }

    public void Stop() => _stopped = true;

    public async Task RunAsync()
    {
        var engine = Engines.Simulated.SimulatedEngineFactory.Create(
            new Engines.Simulated.SimulatedEngineOptions { Model = FailoverWorld.Model }, world.Time);
        for (var prompt = 0; prompt < Prompts; prompt++)
        {
            _undisturbed[prompt] = new ClientAnswer();
            await foreach (var frame in engine.GenerateAsync(Request(prompt), CancellationToken.None))
                _undisturbed[prompt].Add(frame);
        }
        await Task.WhenAll(Enumerable.Range(0, settings.Streams).Select(AskAsync));
    }

    private async Task AskAsync(int client)
    {
        for (var i = client; !_stopped; i++)
        {
            var error = await AskAsync(Request(i % Prompts), _undisturbed[i % Prompts]);
            Streams++;
            if (error is not null)
                Errors.Add($"at {world.Time.GetUtcNow().TimeOfDay}, prompt {i % Prompts}: {error}");
        }
    }

    private async Task<string?> AskAsync(GenerateRequest request, ClientAnswer undisturbed)
    {
        var answer = new ClientAnswer();
        await using var session = world.Sessions.Start(request);
        try
        {
            while (await session.WaitToReadAsync(CancellationToken.None))
            {
                while (session.TryRead(out var frame))
                {
                    if (frame.Count > 0 && frame.FirstIndex != answer.Ids.Count)
                        return $"token {frame.FirstIndex} came where {answer.Ids.Count} was to come";
                    answer.Add(frame);
                    Trace(frame);
                }
            }
        }
        catch (FaultException error) when (error.Fault == Fault.StreamLost && IsPoison(session, answer.Ids.Count))
        {
            Poison++;
            return null;
        }
        catch (FaultException error)
        {
            var failovers = string.Join(", ", session.Failovers.Select(failover => $"{failover.TokenIndex} {failover.From} {failover.Reason}"));
            return string.Create(CultureInfo.InvariantCulture, $"{error.Fault} after token {answer.Ids.Count}: {error.Message} [{failovers}]");
        }
        Tokens += answer.Ids.Count;
        return answer.DifferenceFrom(undisturbed);
    }

    /// <summary>As many attempts were lost without a new token as the bound allows. The last loss is not a failover.</summary>
    private static bool IsPoison(IGenerationSession session, int index)
    {
        // The first failover at a token ends the attempt that generated the token before it.
        var here = session.Failovers.Where(failover => failover.TokenIndex == index).Skip(index > 0 ? 1 : 0);
        var lost = 1 + here.Count(failover => !NoEvidence.Contains(failover.Reason));
        return lost >= FailoverWorld.Options.AttemptsWithoutProgress;
    }

    private void Trace(GenerateFrame frame) =>
        TraceHash = SeededRandomSource.Mix(TraceHash ^ (ulong)world.Time.GetTimestamp() ^ ((ulong)frame.FirstIndex << 48) ^ frame.Count);

    private static GenerateRequest Request(int prompt) => new()
    {
        Model = FailoverWorld.Model,
        Text = $"simulated prompt {prompt}",
        // From less than a second to about ten at 50 tokens per second.
        MaxTokens = (uint)(20 + (prompt * prompt)),
        Logprobs = prompt % 4 == 0 ? 2u : 0,
        Stop = { prompt % 3 == 0 ? ["never said", "\u00e9\u00e9 neither"] : Array.Empty<string>() },
        Sampling = new Sampling { Seed = (ulong)prompt, Temperature = prompt % 5 == 0 ? 0 : 1, PresencePenalty = prompt % 2 },
    };

    private sealed class ClientAnswer
    {
        private readonly List<byte> _text = [];
        private readonly List<TokenLogprob> _logprobs = [];
        private Finish? _finish;

        public List<uint> Ids { get; } = [];

        public void Add(GenerateFrame frame)
        {
            Ids.AddRange(frame.TokenIds);
            _text.AddRange(frame.Text);
            _logprobs.AddRange(frame.Logprobs);
            _finish = frame.Finish ?? _finish;
        }

        public string? DifferenceFrom(ClientAnswer other) =>
            !Ids.SequenceEqual(other.Ids) ? "its tokens differ"
            : !_text.SequenceEqual(other._text) ? "its text differs"
            : !_logprobs.SequenceEqual(other._logprobs) ? "its log probabilities differ"
            : !Equals(_finish, other._finish) ? $"its end differs: {_finish} instead of {other._finish}"
            : null;
    }
}
