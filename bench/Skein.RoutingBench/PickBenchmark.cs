using BenchmarkDotNet.Attributes;
using Skein.Routing;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;

namespace Skein.RoutingBench;

/// <summary>
/// Cost of one pick as admission makes it: gathering the candidates, and the policy. The requests are those of conversations, half of them with a session key:
/// their prompts have eight prefixes, of which all share the first.
/// </summary>
[MemoryDiagnoser]
[MinColumn]
public class PickBenchmark
{
    private const int Prefixes = 8;

    private readonly AdmissionRequest[] _requests = [.. Enumerable.Range(0, 4096).Select(NewRequest)];
    private Replica[] _serving = [];
    private ReplicaPicker _picker = null!;
    private int _next;

    public static IEnumerable<string> Policies => BalancingPolicies.BuiltIn.Select(policy => policy.Name);

    [Params(16, 256)]
    public int Replicas { get; set; }

    [ParamsSource(nameof(Policies))]
    public string Policy { get; set; } = BalancingPolicies.Default;

    [GlobalSetup]
    public void Prepare()
    {
        // Half of them with load of their own, half with load of others: both parts of the estimate are used.
        _serving = [.. Enumerable.Range(0, Replicas).Select(NewReplica)];
        _picker = new ReplicaPicker(new BalancingPolicies(BalancingPolicies.BuiltIn).Get(Policy).ForModel(), new SeededRandomSource(1));
    }

    [Benchmark]
    public object? Pick() => _picker.Pick(_serving, _requests[_next++ & (_requests.Length - 1)], TimeSpan.FromMilliseconds(100));

    private static AdmissionRequest NewRequest(int index)
    {
        var conversation = SeededRandomSource.Mix((ulong)index);
        var prefixes = new ulong[Prefixes];
        for (var i = 0; i < Prefixes; i++)
            prefixes[i] = i == 0 ? 1 : SeededRandomSource.Mix(conversation + (ulong)i);
        return new AdmissionRequest("m", new Arrival(0, index, 0), Displaced: false, WaitingSince: null, Fingerprint: "", Excluded: [])
        {
            Traits = new RequestTraits { PrefixHashes = prefixes, SessionKey = index % 2 == 0 ? "" : $"conversation-{index}" },
        };
    }

    private static Replica NewReplica(int index)
    {
        var replica = new Replica(new ReplicaDescription
        {
            Id = new ReplicaId($"replica-{index}", 1), Address = "", Models = ["m"], Slots = 64, Weight = 1 + (index % 3),
        });
        for (var i = 0; i < index % 16; i++)
            replica.Reserve(TimeSpan.Zero);
        if (index % 2 == 0)
            replica.Report(running: 20, TimeSpan.FromMilliseconds(50));
        return replica;
    }
}
