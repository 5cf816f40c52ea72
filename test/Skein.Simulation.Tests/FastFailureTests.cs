using System.Runtime.CompilerServices;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Simulation.Tests;

/// <summary>A server that fails within a millisecond looks idle, and must not attract the traffic.</summary>
public sealed class FastFailureTests
{
    private const int Requests = 2_000;
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1) / 220;

    [Theory]
    [InlineData(Fault.EngineBusy)]
    [InlineData(Fault.NoFinish)]
    [InlineData(Fault.EngineFailed)]
    [InlineData(Fault.ConnectionLost)]
    [InlineData(Fault.Unreachable)]
    public void Requests_OneOfTwoServersFailsAtOnce_AllSucceedAndItGetsNearlyNone(Fault fault)
    {
        using var world = new World(fault);

        world.Run();

        Assert.Equal((Requests, 0), (world.Succeeded, world.Errors.Count));
        Assert.InRange(world.LateHits(World.Bad), 0, 0.02 * (world.LateHits(World.Bad) + world.LateHits(World.Good)));
        // It fails; and where the connection is at fault, it broke, and was back once.
        Assert.InRange(world.Logged.Count, 1, fault is Fault.ConnectionLost or Fault.Unreachable ? 3 : 1);
    }

    private sealed class World : IFleetSource, IReplicaLink, IDisposable
    {
        public const string Bad = "bad";
        public const string Good = "good";
        private static readonly TimeSpan Settled = TimeSpan.FromSeconds(2);

        private readonly VirtualTime _time = new();
        private readonly Fault _fault;
        private readonly FleetTracker _fleet;
        private readonly AdmissionQueue _admission;
        private readonly ReachabilityMonitor _monitor;
        private readonly GenerationSessions _sessions;
        private readonly List<(string Replica, TimeSpan At)> _hits = [];

        public World(Fault fault)
        {
            _fault = fault;
            _fleet = new FleetTracker(this);
            var random = new SeededRandomSource(1);
            _admission = new AdmissionQueue(
                new AdmissionOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn), _fleet, _time, random, new Recorder<AdmissionQueue>(Logged));
            _monitor = new ReachabilityMonitor(_fleet, this, _time, new Recorder<ReachabilityMonitor>(Logged));
            _sessions = new GenerationSessions(
                _fleet, _admission, this, new StreamingOptions(), new RoutingStatistics(), _time, random, new Recorder<GenerationSessions>([]));
        }

        public event Action? Changed
        {
            add { }
            remove { }
        }

        public FleetView Current { get; } = new([Server(Bad), Server(Good)], ["m"], Complete: true);

        public int Succeeded { get; private set; }

        public List<string> Errors { get; } = [];

        public List<string> Logged { get; } = [];

        public int LateHits(string replica) => _hits.Count(hit => hit.Replica == replica && hit.At > Settled);

        public void Run() => _time.Run(async () =>
        {
            var running = new List<Task>();
            for (var i = 0; i < Requests; i++)
            {
                running.Add(AskAsync());
                await Task.Delay(Between, _time);
            }
            await Task.WhenAll(running);
        });

        public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
            Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            _hits.Add((replica.Id.Name, _time.GetUtcNow() - DateTimeOffset.UnixEpoch));
            await Task.Delay(TimeSpan.FromMilliseconds(1), _time, cancellationToken);
            if (replica.Id.Name == Bad && _fault != Fault.NoFinish)
                throw new FaultException(_fault, "fails at once");
            yield return new GenerateFrame { Attempt = request.Attempt, Start = new Start { ResumeTier = ResumeTier.Text, Unit = TokenUnit.Chunk } };
            if (replica.Id.Name == Bad)
                yield break;
            await Task.Delay(TimeSpan.FromMilliseconds(200), _time, cancellationToken);
            yield return new GenerateFrame { Attempt = request.Attempt, Count = 1, Text = ByteString.CopyFromUtf8("a") };
            yield return new GenerateFrame { Attempt = request.Attempt, Finish = new Finish { Reason = FinishReason.Stop } };
        }

        public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

        /// <summary>It answers questions about its health.</summary>
        public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => Task.CompletedTask;

        public void Dispose()
        {
            _monitor.Dispose();
            _admission.Dispose();
            _fleet.Dispose();
        }

        private static ReplicaDescription Server(string name) =>
            new() { Id = new ReplicaId(name, 1), Address = name, Models = ["m"], Slots = 256, Weight = 1 };

        private async Task AskAsync()
        {
            await using var session = _sessions.Start(new GenerateRequest { Model = "m", Text = "p", MaxTokens = 1 });
            try
            {
                while (await session.WaitToReadAsync(CancellationToken.None))
                {
                    while (session.TryRead(out var frame))
                        Succeeded += frame.Finish is null ? 0 : 1;
                }
            }
            catch (FaultException error)
            {
                Errors.Add(error.Message);
            }
        }
    }

    /// <summary>What an operator sees.</summary>
    private sealed class Recorder<T>(List<string> logged) : ILogger<T>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            Assert.Null(exception);
            logged.Add(formatter(state, exception));
        }
    }
}
