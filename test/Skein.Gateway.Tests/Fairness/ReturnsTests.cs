using Skein.Routing.Admission;

namespace Skein.Gateway.Tests.Fairness;

/// <summary>What refused callers are told is kept where several gateways share the slots. In virtual time.</summary>
public sealed class ReturnsTests
{
    private const int Slots = 8;

    /// <summary>As official SDKs have it.</summary>
    private const int MostReturns = 2;

    /// <summary>A gateway that counted the slots of others as its own told its callers to come back too early.</summary>
    [Theory]
    [InlineData(1, 0.7, true)]
    [InlineData(1, 1.0, true)]
    [InlineData(2, 0.7, true)]
    [InlineData(2, 0.7, false)]
    [InlineData(2, 1.0, true)]
    [InlineData(2, 1.0, false)]
    [InlineData(4, 0.7, true)]
    [InlineData(4, 0.7, false)]
    [InlineData(4, 1.0, true)]
    [InlineData(4, 1.0, false)]
    public void OverloadEnds_CallersThatObey_AreAdmittedAtTheirFirstReturn(int gateways, double loadAfter, bool keepsConnection)
    {
        for (var seed = 1; seed <= 3; seed++)
        {
            var crowd = new Crowd(gateways, seed, meanHold: 1, keepsConnection);
            crowd.Arrivals(load: 2, TimeSpan.Zero, TimeSpan.FromSeconds(30));
            crowd.Arrivals(loadAfter, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(120));

            crowd.Check(countFrom: TimeSpan.FromSeconds(30), until: TimeSpan.FromSeconds(120), seed, least: 150);
        }
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(2, false)]
    [InlineData(4, true)]
    [InlineData(4, false)]
    public void ColdGateways_ShortOverload_CallersThatObey_AreAdmittedAtTheirFirstReturn(int gateways, bool keepsConnection)
    {
        for (var seed = 1; seed <= 3; seed++)
        {
            // As long as the assumption, which is all that is known.
            var crowd = new Crowd(gateways, seed, RetryAfterEstimator.AssumedHold.TotalSeconds, keepsConnection);
            crowd.Arrivals(load: 10, TimeSpan.Zero, TimeSpan.FromSeconds(1.5));
            crowd.Arrivals(load: 0.7, TimeSpan.FromSeconds(1.5), TimeSpan.FromSeconds(60));

            crowd.Check(countFrom: TimeSpan.Zero, until: TimeSpan.FromSeconds(60), seed, least: 100);
        }
    }

    private sealed class Crowd
    {
        private const int QueueLength = 64;

        private readonly SharedReplicas _world;
        private readonly Random _random;
        private readonly int _gateways;
        private readonly double _meanHold;
        private readonly bool _keepsConnection;
        private readonly List<TimeSpan> _firstReturns = [];
        private readonly List<TimeSpan> _admitted = [];

        /// <param name="keepsConnection">Clients come back to the same gateway; otherwise to any.</param>
        public Crowd(int gateways, int seed, double meanHold, bool keepsConnection)
        {
            _keepsConnection = keepsConnection;
            (_gateways, _meanHold, _random) = (gateways, meanHold, new Random(seed));
            _world = new SharedReplicas([.. Enumerable.Repeat(true, gateways)], replicas: 1, Slots, seed, QueueLength / gateways);
            _world.Refused += Return;
            _world.Admitted += visit =>
            {
                if (visit.Returns == 1)
                    _admitted.Add(visit.At);
            };
        }

        public void Arrivals(double load, TimeSpan from, TimeSpan to)
        {
            for (var at = from; at < to; at += Exponential(_meanHold / (load * Slots)))
                _world.Add(new Visit(at, _random.Next(_gateways), Exponential(_meanHold)));
        }

        public void Check(TimeSpan countFrom, TimeSpan until, int seed, int least)
        {
            _world.Run(until);
            var returns = _firstReturns.Count(at => at >= countFrom && at < until);
            var admitted = _admitted.Count(at => at >= countFrom);
            Assert.InRange(returns, least, int.MaxValue);
            Assert.True(admitted >= 0.9 * returns, $"seed {seed}: {admitted} of {returns} were admitted at their first return");
        }

        private void Return(Visit visit, TimeSpan after)
        {
            if (visit.Returns == MostReturns)
                return;
            var next = visit with { At = _world.Now + after, Returns = visit.Returns + 1, Gateway = _keepsConnection ? visit.Gateway : _random.Next(_gateways) };
            if (next.Returns == 1)
                _firstReturns.Add(next.At);
            _world.Add(next);
        }

        private TimeSpan Exponential(double mean) => TimeSpan.FromSeconds(mean * -Math.Log(1 - _random.NextDouble()));
    }
}
