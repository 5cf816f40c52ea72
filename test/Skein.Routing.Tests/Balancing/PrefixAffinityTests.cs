using Google.Protobuf;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Balancing;

public sealed class PrefixAffinityTests
{
    private const string Name = "prefix-affinity";

    [Fact]
    public void Pick_TwoGateways_AgreeOnEveryKeyWithoutTalking()
    {
        var first = new Picks(replicas: 8);
        var second = new Picks(replicas: 8);
        for (var key = 0UL; key < 200; key++)
        {
            var prefix = SeededRandomSource.Mix(key);
            Assert.Equal(first.PickAndEnd(prefix), second.PickAndEnd(prefix));
        }
    }

    [Fact]
    public void Pick_ReplicaLeaves_OnlyItsKeysMove()
    {
        var before = new Picks(replicas: 8);
        var after = new Picks(replicas: 7);
        for (var key = 0UL; key < 200; key++)
        {
            var prefix = SeededRandomSource.Mix(key);
            var home = before.PickAndEnd(prefix);
            var now = after.PickAndEnd(prefix);
            Assert.True(home == now || home == "r7" || before.WasAboveItsShare || after.WasAboveItsShare, $"key {key} moved from {home} to {now}");
        }
    }

    [Fact]
    public void Pick_KeyThatAllShare_SpreadsByTheNextPrefix()
    {
        var picks = new Picks(replicas: 4);
        var used = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < 400; i++)
        {
            // 40 conversations with the same system prompt.
            var replica = picks.PickAndEnd(prefixes: [1, SeededRandomSource.Mix((ulong)(i % 40)), SeededRandomSource.Mix((ulong)(1000 + i))]);
            used[replica] = used.GetValueOrDefault(replica) + 1;
        }
        Assert.Equal(4, used.Count);
        Assert.All(used.Values, count => Assert.InRange(count, 50, 150));
    }

    [Fact]
    public void Pick_SameKeyUnderLoad_YieldsToTheOthers()
    {
        var picks = new Picks(replicas: 4);
        for (var i = 0; i < 40; i++)
            picks.Pick("session", []);
        Assert.All(picks.Replicas, replica => Assert.InRange(replica.Leased, 5, 14));
    }

    [Fact]
    public void Pick_SessionKey_CountsBeforePrefixes()
    {
        var picks = new Picks(replicas: 8);
        var home = picks.PickAndEnd("agent", [1]);
        for (var i = 0UL; i < 10; i++)
            Assert.Equal(home, picks.PickAndEnd("agent", [i]));
    }

    /// <summary>A bound on the requests of a minute would move it away from its cache, though all replicas are idle.</summary>
    [Theory]
    [InlineData(0.2)]
    [InlineData(3)]
    public void Pick_LoneSessions_StayWhereTheirCacheIs(double seconds)
    {
        var picks = new Picks(replicas: 4) { Pause = TimeSpan.FromSeconds(seconds) };
        var homes = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < 100; i++)
        {
            // The second one joins later.
            var session = i > 30 && i % 3 == 0 ? "other" : "lone";
            var home = picks.PickAndEnd(session, [1, SeededRandomSource.Mix((ulong)i)]);
            Assert.Equal(homes.GetValueOrDefault(session, home), home);
            homes[session] = home;
        }
    }

    /// <summary>Beside its own request, which is a load, the bound on the requests of a minute moved it.</summary>
    [Fact]
    public void Pick_LoneSessionWithRequestsAtTheSameTime_StaysWhereItsCacheIs()
    {
        var picks = new Picks(replicas: 4) { Pause = TimeSpan.FromSeconds(1) };
        var home = picks.Pick("lone", []);
        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(home, picks.Pick("lone", []));
            Assert.Equal(home, picks.PickAndEnd("lone", []));
            picks.End(home);
        }
    }

    /// <summary>Its prefixes become frequent ones, one after the other.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Pick_LoneConversationsWithoutSessionKey_StayWhereTheirCacheIs(int conversations)
    {
        var picks = new Picks(replicas: 4) { Pause = TimeSpan.FromSeconds(1) };
        var homes = new string[conversations];
        for (var turn = 1; turn <= 100; turn++)
        {
            for (var conversation = 0; conversation < conversations; conversation++)
            {
                // All have the same system prompt.
                var prefixes = Enumerable.Range(0, turn + 1).Select(i => SeededRandomSource.Mix((ulong)(i == 0 ? 0 : (conversation * 1000) + i)));
                var home = picks.PickAndEnd(prefixes: [.. prefixes]);
                Assert.Equal(homes[conversation] ??= home, home);
            }
        }
    }

    /// <summary>Requests that the other gateway sent kept a session of this one from its cache.</summary>
    [Fact]
    public void Pick_LoneSessionComesToASecondGateway_ItPicksTheSameReplica()
    {
        var first = new Picks(replicas: 4) { Pause = TimeSpan.FromSeconds(1) };
        var home = first.PickAndEnd("lone", []);
        var second = new Picks(replicas: 4) { Pause = TimeSpan.FromSeconds(1) };
        for (var i = 0; i < 50; i++)
        {
            second.SentByOthers(home);
            Assert.Equal(home, second.PickAndEnd("lone", []));
        }
    }

    /// <summary>A session with half of all requests, among others: also while no two requests run at the same time, no replica is a hot spot.</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    public void Pick_HotSessionAmongOthers_MakesNoHotSpot(int replicas)
    {
        var picks = new Picks(replicas) { Pause = TimeSpan.FromSeconds(0.1) };
        var times = new Queue<(TimeSpan At, string Replica)>();
        for (var i = 0; i < 6000; i++)
        {
            var at = picks.Now;
            times.Enqueue((at, picks.PickAndEnd(i % 2 == 0 ? "hot" : $"session-{i % 397}", [])));
            while (at - times.Peek().At >= TimeSpan.FromMinutes(1))
                times.Dequeue();
            if (at < TimeSpan.FromMinutes(2))
                continue;
            var mean = (double)times.Count / replicas;
            // The policy's minute has 55 to 60 s.
            Assert.InRange(times.CountBy(time => time.Replica).Max(count => count.Value), 0, 1.1 * Math.Max(1.25 * mean, mean + 4));
        }
    }

    [Fact]
    public void Prefixes_NextTurnOfAConversation_BeginsWithThoseOfTheTurnBefore()
    {
        const string System = """{"role":"system","content":"Be brief."}""";
        const string User = """{"role":"user","content":"Hello"}""";
        var first = PromptPrefixes.Of(Chat($"[{System},{User}]"));
        var second = PromptPrefixes.Of(Chat($$"""[{{System}}, {{User}},{"role":"assistant","content":"Hi"},{"role":"user","content":"More"}]"""));
        var other = PromptPrefixes.Of(Chat($$"""[{{System}},{"role":"user","content":"Bye"}]"""));

        Assert.Equal(2, first.Length);
        Assert.Equal(first, second.Take(2));
        Assert.Equal(first[0], other[0]);
        Assert.NotEqual(first[1], other[1]);
    }

    [Fact]
    public void Prefixes_LongText_AreFewAndSharedUpToWhereItDiffers()
    {
        var shared = new string('x', 5000);
        var one = PromptPrefixes.Of(new GenerateRequest { Model = "m", Text = shared + new string('a', 100_000) });
        var two = PromptPrefixes.Of(new GenerateRequest { Model = "m", Text = shared + new string('b', 100_000) });

        Assert.InRange(one.Length, 5, PromptPrefixes.Most);
        Assert.NotEqual(one[^1], two[^1]);
        // 10,000 bytes are equal: blocks end after 1, 2, 4 and 8 KiB.
        Assert.Equal(4, one.Zip(two).Count(pair => pair.First == pair.Second));
    }

    [Theory]
    [InlineData("[{\"role\":")]
    [InlineData("{}")]
    [InlineData("")]
    public void Prefixes_BrokenChat_AreThoseBeforeTheError(string messages) => Assert.Empty(PromptPrefixes.Of(Chat(messages)));

    private static GenerateRequest Chat(string messages) =>
        new() { Model = "m", Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8(messages) } };

    /// <summary>One gateway's picks.</summary>
    private sealed class Picks(int replicas)
    {
        private readonly ReplicaPicker _picker =
            new(new BalancingPolicies(BalancingPolicies.BuiltIn).Get(Name).ForModel(), new SeededRandomSource((ulong)replicas));

        private TimeSpan _now;

        /// <summary>Between two requests. By default the requests of the last minute are no bound.</summary>
        public TimeSpan Pause { get; init; } = TimeSpan.FromSeconds(30);

        public Replica[] Replicas { get; } = [.. Enumerable.Range(0, replicas).Select(i => new Replica(Replica($"r{i}", slots: 64)))];

        /// <summary>A replica had more requests in the last minute than the policy allows without looking for another one.</summary>
        public bool WasAboveItsShare { get; private set; }

        public string Pick(string session, ulong[] prefixes)
        {
            var request = new AdmissionRequest("m", new Arrival(0, 1, 0), false, null, "", [])
            {
                Traits = new RequestTraits { SessionKey = session, PrefixHashes = prefixes },
            };
            var replica = _picker.Pick(Replicas, request, _now)!;
            replica.Reserve(_now);
            return replica.Id.Name;
        }

        public TimeSpan Now => _now;

        public void SentByOthers(string name) => Named(name).Recent.Add(_now);

        public void End(string name) => Named(name).Unreserve();

        public string PickAndEnd(string session, ulong[] prefixes)
        {
            var name = Pick(session, prefixes);
            End(name);
            _now += Pause;
            return name;
        }

        public string PickAndEnd(params ulong[] prefixes) => PickAndEnd("", prefixes);

        private Replica Named(string name) => Replicas.Single(replica => replica.Id.Name == name);
    }
}
