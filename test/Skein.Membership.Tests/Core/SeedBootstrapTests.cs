using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Tests.Core;

/// <summary>How often a new member asks its seeds, and how it handles several replies.</summary>
public sealed class SeedBootstrapTests
{
    private static readonly ProtocolOptions Options = ProtocolOptions.Lan with { SeedHedgeAfter = TimeSpan.FromMilliseconds(200), SeedTries = 3 };
    private static readonly PeerAddress Own = PeerAddress.OfIPv4(0x0A000001, 7946);
    private static readonly PeerAddress Seed = PeerAddress.OfIPv4(0x0A000002, 7946);
    private static readonly PeerAddress OtherSeed = PeerAddress.OfIPv4(0x0A000003, 7946);

    [Fact]
    public void Silent_Seed_IsAskedAgainBesideTheFirstTryUpToTheBound()
    {
        var newcomer = new Newcomer([Seed]);

        newcomer.RunUntil(Options.ExchangeTimeout - TimeSpan.FromMilliseconds(1));

        Assert.Equal([0, 200, 400], newcomer.Asked.Select(static asked => asked.At.TotalMilliseconds));
        Assert.All(newcomer.Asked, static asked => Assert.Equal(Options.ExchangeTimeout, asked.At + asked.Timeout));
    }

    [Fact]
    public void Silent_SeedTriesIsOne_IsAskedOnce()
    {
        var newcomer = new Newcomer([Seed], Options with { SeedTries = 1 });

        newcomer.RunUntil(Options.ExchangeTimeout - TimeSpan.FromMilliseconds(1));

        Assert.Single(newcomer.Asked);
    }

    [Fact]
    public void Silent_TwoSeeds_TakeTurns()
    {
        var newcomer = new Newcomer([Seed, OtherSeed], Options with { SeedTries = 4 });

        newcomer.RunUntil(TimeSpan.FromSeconds(1));

        Assert.Equal([Seed, OtherSeed, OtherSeed, Seed], newcomer.Asked.Select(static asked => asked.To));
    }

    [Fact]
    public void Silent_NameResolvesElsewhereNow_NextTryGoesThere()
    {
        var newcomer = new Newcomer([Seed]);
        newcomer.Addresses[0] = OtherSeed;

        newcomer.RunUntil(Options.SeedHedgeAfter);

        Assert.Equal([Seed, OtherSeed], newcomer.Asked.Select(static asked => asked.To));
    }

    [Fact]
    public void Answered_SecondTryFirst_JoinsAndTheOthersEndInSilence()
    {
        var newcomer = new Newcomer([Seed]);
        newcomer.RunUntil(Options.SeedHedgeAfter * 2);
        newcomer.Answer(1);
        var timers = newcomer.Core.PendingTimers;

        newcomer.End(0, ExchangeOutcome.Failed);
        newcomer.Answer(2);

        Assert.Equal(CorePhase.Active, newcomer.Core.Phase);
        Assert.Null(Assert.Single(newcomer.Core.Seeds).Problem);
        Assert.Equal(timers, newcomer.Core.PendingTimers);
        newcomer.RunUntil(Options.ExchangeTimeout);
        Assert.Equal(3, newcomer.Asked.Count);
    }

    [Fact]
    public void Failed_AllTries_IsOneFailureAndTheNextRoundCountsAnew()
    {
        var newcomer = new Newcomer([Seed]);
        newcomer.RunUntil(Options.SeedHedgeAfter * 2);

        newcomer.End(0, ExchangeOutcome.Failed);
        newcomer.End(1, ExchangeOutcome.Failed);
        Assert.Equal(CorePhase.Observing, newcomer.Core.Phase);
        newcomer.End(2, ExchangeOutcome.Failed);

        Assert.Equal(CorePhase.Active, newcomer.Core.Phase);
        Assert.Equal("no answer", Assert.Single(newcomer.Core.Seeds).Problem);
        newcomer.RunUntil(newcomer.Now + Options.SeedRetryMin * 2);
        Assert.Equal(4, newcomer.Asked.Count);
        newcomer.End(0, ExchangeOutcome.Refused);
        Assert.Equal("no answer", Assert.Single(newcomer.Core.Seeds).Problem);
    }

    [Fact]
    public void Refused_OneTry_EndsTheRoundAtOnce()
    {
        var newcomer = new Newcomer([Seed]);
        newcomer.RunUntil(Options.SeedHedgeAfter);

        newcomer.End(1, ExchangeOutcome.Refused);

        Assert.Equal(CorePhase.Active, newcomer.Core.Phase);
        Assert.Equal("nobody listens there", Assert.Single(newcomer.Core.Seeds).Problem);
    }

    [Fact]
    public void Active_SeedStaysSilent_IsAskedOnceARound()
    {
        var newcomer = new Newcomer([Seed]);
        newcomer.End(0, ExchangeOutcome.Refused);
        newcomer.RunUntil(Options.SeedRetryMin * 2);
        Assert.Equal(2, newcomer.Asked.Count);

        newcomer.RunUntil(newcomer.Now + Options.ExchangeTimeout);

        Assert.Equal(2, newcomer.Asked.Count);
    }

    private sealed class Newcomer : ICoreEffects
    {
        private readonly MembershipCore _other;

        public Newcomer(PeerAddress[] seeds, ProtocolOptions? options = null)
        {
            Addresses = seeds;
            string[] names = [.. seeds.Select(static seed => seed.ToString())];
            Core = new MembershipCore(new CoreSettings("new", "c", Own, 1000, [], names, options ?? Options), seed: 1, this);
            _other = new MembershipCore(new CoreSettings("old", "c", Seed, 1000, [], [], Options), seed: 2, this);
            _other.Start(Now);
            Core.Start(Now);
        }

        public MembershipCore Core { get; }

        public TimeSpan Now { get; private set; }

        public PeerAddress[] Addresses { get; }

        public List<(TimeSpan At, ExchangeToken Token, PeerAddress To, byte[] Request, TimeSpan Timeout)> Asked { get; } = [];

        public void RunUntil(TimeSpan end)
        {
            for (; Now < end; Now += TimeSpan.FromMilliseconds(1))
                Core.Advance(Now);
            Core.Advance(Now);
        }

        public void Answer(int asked) =>
            Core.ExchangeEnded(Asked[asked].Token, ExchangeOutcome.Replied, Asked[asked].To, _other.Serve(Own, Asked[asked].Request, Now, out _).ToArray(), Now);

        public void End(int asked, ExchangeOutcome outcome) => Core.ExchangeEnded(Asked[asked].Token, outcome, Asked[asked].To, [], Now);

        void ICoreEffects.Exchange(ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout)
        {
            if (token.Purpose == ExchangePurpose.Seed)
                Asked.Add((Now, token, to, request.ToArray(), timeout));
        }

        void ICoreEffects.Resolve(int seed) => Core.SeedResolved(seed, Addresses[seed], Now);

        void ICoreEffects.Send(PeerAddress to, ReadOnlySpan<byte> datagram)
        {
        }

        void ICoreEffects.Monitor(int slot, PeerAddress to, ReadOnlySpan<byte> request)
        {
        }

        void ICoreEffects.BeaconReceived(MemberRecord from, LoadUpdate load)
        {
        }

        void ICoreEffects.Report(CoreEvent what, MemberRecord about)
        {
        }
    }
}
