using Google.Protobuf;
using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

/// <summary>
/// Whatever index a replica is lost at, the client's answer equals the undisturbed one: text, ids, log probabilities, finish reason, usage.
/// </summary>
public sealed class ExactnessTests
{
    private static readonly string[] Replicas = ["a", "b", "c"];

    public static TheoryData<string> Engines => [.. TestEngines.Kinds];

    public static TheoryData<string, string> EnginesAndScenarios()
    {
        var data = new TheoryData<string, string>();
        foreach (var engine in TestEngines.Kinds)
        {
            foreach (var scenario in Scenarios.Keys)
                data.Add(engine, scenario);
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(EnginesAndScenarios))]
    public async Task Session_LostAtEveryIndex_AnswersExactly(string engine, string scenario)
    {
        var request = Scenarios[scenario](engine);
        var choices = (int)Math.Max(1, request.N);
        using var rig = new Rig(engine);
        (var undisturbed, _) = await rig.RunAsync(request, (_, _, _) => false);
        var length = undisturbed.Max(choice => choice.Ids.Count);
        Assert.True(length >= 8, $"an answer of {length} tokens proves little");

        for (var index = 0; index <= length; index++)
        {
            // Choices are lost at different places: the first one here, each further one later by three.
            int At(uint choice) => Math.Min(index + ((int)choice * 3), undisturbed[choice].Ids.Count);
            (var once, var failovers) = await rig.RunAsync(request, (attempt, choice, at) => attempt == 1 && at == At(choice));
            Assert.Equal(choices, failovers);
            Assert.All(once.Zip(undisturbed), pair => pair.First.MustEqual(pair.Second));
        }
    }

    /// <summary>One token from each of the replicas that are lost.</summary>
    [Theory]
    [MemberData(nameof(EnginesAndScenarios))]
    public async Task Session_LostTwiceAndThreeTimes_AnswersExactly(string engine, string scenario)
    {
        var request = Scenarios[scenario](engine);
        using var rig = new Rig(engine);
        (var undisturbed, _) = await rig.RunAsync(request, (_, _, _) => false);

        for (var faults = 2; faults <= 3; faults++)
        {
            for (var index = 0; index + faults <= undisturbed.Min(choice => choice.Ids.Count); index++)
            {
                (var lost, var failovers) = await rig.RunAsync(request, (attempt, _, at) => attempt <= faults && at == index + attempt - 1);
                Assert.Equal(faults * undisturbed.Length, failovers);
                Assert.All(lost.Zip(undisturbed), pair => pair.First.MustEqual(pair.Second));
            }
        }
    }

    /// <summary>A stop text over several tokens: half of it was said, and held back, by the replica that is lost.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Session_LostAtEveryIndexOfAStopText_EndsWhereItDoes(string engine)
    {
        var request = Scenarios["greedy"](engine);
        using var rig = new Rig(engine);
        (var whole, _) = await rig.RunAsync(request, (_, _, _) => false);
        var text = whole[0].Text;
        request.Stop.Add(text[(text.Length / 2)..(text.Length * 4 / 5)]);
        (var undisturbed, _) = await rig.RunAsync(request, (_, _, _) => false);
        Assert.Equal(text[..(text.Length / 2)], undisturbed[0].Text);

        for (var index = 0; index <= undisturbed[0].Ids.Count; index++)
        {
            (var lost, var failovers) = await rig.RunAsync(request, (attempt, _, at) => attempt == 1 && at == index);
            Assert.Equal(1, failovers);
            lost[0].MustEqual(undisturbed[0]);
        }
    }

    [Theory]
    [MemberData(nameof(EnginesAndScenarios))]
    public async Task Session_MovedAtEveryIndex_AnswersExactly(string engine, string scenario)
    {
        var request = Scenarios[scenario](engine);
        using var rig = new Rig(engine);
        (var undisturbed, _) = await rig.RunAsync(request, (_, _, _) => false);

        for (var index = 0; index < undisturbed[0].Ids.Count; index++)
        {
            (var moved, var moves) = await rig.RunAsync(request, (_, _, _) => false, leaveAt: index);
            Assert.True(moves >= 1, $"nothing was moved at token {index}");
            Assert.All(moved.Zip(undisturbed), pair => pair.First.MustEqual(pair.Second));
        }
    }

    private static Dictionary<string, Func<string, GenerateRequest>> Scenarios { get; } = new(StringComparer.Ordinal)
    {
        ["greedy"] = _ => Request(sampling => sampling.Temperature = 0),
        ["seeded"] = _ => Request(sampling => sampling.Seed = 42),
        ["top-p, penalties and bias"] = _ => Request(sampling =>
        {
            sampling.Seed = 7;
            sampling.TopP = 0.9f;
            sampling.PresencePenalty = 0.5f;
            sampling.FrequencyPenalty = 0.3f;
            sampling.LogitBias[40] = 2;
        }),
        ["log probabilities"] = _ => Request(sampling => sampling.Seed = 3, request => request.Logprobs = 3),
        ["three choices"] = _ => Request(sampling => sampling.Seed = 11, request => request.N = 3),
        ["stop texts"] = _ => Request(sampling => sampling.Temperature = 0, request => request.Stop.Add(["zzz never", "é never", " a never comes"])),
        ["echo"] = _ => Request(sampling => sampling.Seed = 5, request =>
        {
            request.Text = "Once upon a time, in an old wood, there was a clever owl who";
            request.Echo = true;
        }),
        ["raw ids"] = engine => Request(
            sampling => sampling.Seed = 9,
            request => request.TokenIds = new TokenIds { Ids = { engine == "embedded" ? [0, 3, 300, 301, 302, 4] : [5, 6, 7, 8] } }),
    };

    private static ByteString Messages { get; } = ByteString.CopyFromUtf8("""[{"role":"user","content":"Tell me a story about an owl — über 🦉"}]""");

    private static GenerateRequest Request(Action<Sampling> sample, Action<GenerateRequest>? change = null)
    {
        var request = new GenerateRequest { Model = "m", Chat = new ChatPrompt { Messages = Messages }, MaxTokens = 24, Sampling = new Sampling() };
        sample(request.Sampling);
        change?.Invoke(request);
        return request;
    }

    private sealed class Rig : IDisposable
    {
        private readonly EngineLink _link;
        private readonly StaticFleet _fleet = new([.. Replicas.Select(name => Replica(name, slots: 8, fingerprint: ""))]);
        private readonly Gateway _gateway;

        public Rig(string engine)
        {
            _link = new EngineLink(Replicas.ToDictionary(name => name, _ => TestEngines.Create(engine)));
            _gateway = new Gateway(_fleet, streaming: new StreamingOptions { RetryBurst = 1_000_000 }, link: _link);
        }

        public async Task<(Received[] Choices, int Failovers)> RunAsync(GenerateRequest request, Func<uint, uint, int, bool> cut, int leaveAt = -1)
        {
            _link.Cut = cut;
            _link.Leave = (replica, attempt, choice, at) => attempt == 1 && choice == 0 && at == leaveAt && Drain(replica.Id.Name);
            Drain("");
            foreach (var replica in _gateway.Fleet.Current.Replicas)
                _gateway.Fleet.MarkReachable(replica);
            await using var session = _gateway.Sessions.Start(request.Clone());
            return (await Received.AllAsync(session, (int)Math.Max(1, request.N)), session.Failovers.Count);
        }

        public void Dispose() => _gateway.Dispose();

        private bool Drain(string name)
        {
            if (_fleet.Current.Replicas.Any(replica => replica.Draining != (replica.Id.Name == name)))
                _fleet.Set([.. _fleet.Current.Replicas.Select(replica => replica with { Draining = replica.Id.Name == name, HandOver = replica.Id.Name == name })]);
            return true;
        }
    }
}
