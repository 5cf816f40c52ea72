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
        var joining = new JoiningMember([Seed]);

        joining.RunUntil(Options.ExchangeTimeout - TimeSpan.FromMilliseconds(1));

        Assert.Equal([0, 200, 400], joining.Asked.Select(static asked => asked.At.TotalMilliseconds));
        Assert.All(joining.Asked, static asked => Assert.Equal(Options.ExchangeTimeout, asked.At + asked.Timeout));
    }

    [Fact]
    public void Silent_SeedTriesIsOne_IsAskedOnce()
    {
        var joining = new JoiningMember([Seed], Options with { SeedTries = 1 });

        joining.RunUntil(Options.ExchangeTimeout - TimeSpan.FromMilliseconds(1));

        Assert.Single(joining.Asked);
    }

    [Fact]
    public void Silent_TwoSeeds_TakeTurns()
    {
        var joining = new JoiningMember([Seed, OtherSeed], Options with { SeedTries = 4 });

        joining.RunUntil(TimeSpan.FromSeconds(1));

        Assert.Equal([Seed, OtherSeed, OtherSeed, Seed], joining.Asked.Select(static asked => asked.To));
    }

    [Fact]
    public void Silent_NameResolvesElsewhereNow_NextTryGoesThere()
    {
        var joining = new JoiningMember([Seed]);
        joining.Addresses[0] = OtherSeed;

        joining.RunUntil(Options.SeedHedgeAfter);

        Assert.Equal([Seed, OtherSeed], joining.Asked.Select(static asked => asked.To));
    }

    [Fact]
    public void Answered_SecondTryFirst_JoinsAndTheOthersEndInSilence()
    {
        var joining = new JoiningMember([Seed]);
        joining.RunUntil(Options.SeedHedgeAfter * 2);
        joining.Answer(1);
        var timers = joining.Core.PendingTimers;

        joining.End(0, ExchangeOutcome.Failed);
        joining.Answer(2);

        Assert.Equal(CorePhase.Active, joining.Core.Phase);
        Assert.Null(Assert.Single(joining.Core.Seeds).Problem);
        Assert.Equal(timers, joining.Core.PendingTimers);
        joining.RunUntil(Options.ExchangeTimeout);
        Assert.Equal(3, joining.Asked.Count);
    }

    [Fact]
    public void Failed_AllTries_IsOneFailureAndTheNextRoundCountsAnew()
    {
        var joining = new JoiningMember([Seed]);
        joining.RunUntil(Options.SeedHedgeAfter * 2);

        joining.End(0, ExchangeOutcome.Failed);
        joining.End(1, ExchangeOutcome.Failed);
        Assert.Equal(CorePhase.Observing, joining.Core.Phase);
        joining.End(2, ExchangeOutcome.Failed);

        Assert.Equal(CorePhase.Active, joining.Core.Phase);
        Assert.Equal("no answer", Assert.Single(joining.Core.Seeds).Problem);
        joining.RunUntil(joining.Now + Options.SeedRetryMin * 2);
        Assert.Equal(4, joining.Asked.Count);
        joining.End(0, ExchangeOutcome.Refused);
        Assert.Equal("no answer", Assert.Single(joining.Core.Seeds).Problem);
    }

    [Fact]
    public void Refused_OneTry_EndsTheRoundAtOnce()
    {
        var joining = new JoiningMember([Seed]);
        joining.RunUntil(Options.SeedHedgeAfter);

        joining.End(1, ExchangeOutcome.Refused);

        Assert.Equal(CorePhase.Active, joining.Core.Phase);
        Assert.Equal("nobody listens there", Assert.Single(joining.Core.Seeds).Problem);
    }

    [Fact]
    public void Active_SeedStaysSilent_IsAskedOnceARound()
    {
        var joining = new JoiningMember([Seed]);
        joining.End(0, ExchangeOutcome.Refused);
        joining.RunUntil(Options.SeedRetryMin * 2);
        Assert.Equal(2, joining.Asked.Count);

        joining.RunUntil(joining.Now + Options.ExchangeTimeout);

        Assert.Equal(2, joining.Asked.Count);
    }

    private sealed class JoiningMember : ICoreEffects
    {
        private readonly MembershipCore _other;

        public JoiningMember(PeerAddress[] seeds, ProtocolOptions? options = null)
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
