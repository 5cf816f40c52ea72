using System.Net;
using Google.Protobuf;
using Microsoft.Extensions.DependencyInjection;
using Skein.Cli.Members;
using Skein.Cli.Terminal;
using Skein.Membership;
using Skein.Membership.Tests.Support;
using Skein.Protocol.V1;

namespace Skein.Cli.Tests;

public sealed class MemberRunTests
{
    private static readonly ServiceProvider Services = new ServiceCollection().AddLogging().BuildServiceProvider();

    [Theory]
    [InlineData(3, 3)]
    [InlineData(40, 0)]
    public void ReserveSpaceForDrain_KeepsAllModelsOrNone_AndSpaceForBothFlags(int offered, int expected)
    {
        var metadata = new MemberMetadata { Role = "replica", Grpc = "127.0.0.1:8090", ModelsDigest = 1 };
        metadata.Models.AddRange(Enumerable.Range(0, offered).Select(i => $"organisation/model-{i}"));

        MemberRun.ReserveSpaceForDrain(metadata);

        Assert.Equal(expected, metadata.Models.Count);
        metadata.Draining = metadata.HandOver = true;
        Assert.InRange(metadata.ToByteArray().Length, 1, 512);
    }

    [Fact]
    public void ReserveSpaceForDrain_TooLongWithoutModels_IsRefusedByNameAndSize()
    {
        var metadata = new MemberMetadata { Role = "replica", Revision = new string('r', 500) };

        var refusal = Assert.Throws<UsageException>(() => MemberRun.ReserveSpaceForDrain(metadata));

        Assert.Contains("512", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("--revision", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WaitForStop_NewerGenerationTakesTheName_EndsAndNamesIt()
    {
        using var signal = new StopSignal(supervised: false);
        var membership = new Replaceable();
        var waiting = MemberRun.WaitForStopAsync(membership, Services, signal);
        Assert.False(waiting.IsCompleted);

        membership.Newer.SetResult(new Member
        {
            Name = "replica-1", State = MemberState.Alive, Generation = 2, Incarnation = 0,
            Gossip = IPEndPoint.Parse("127.0.0.1:7947"), Metadata = new MemberMetadata { Pid = 4711 },
        });

        var end = await Assert.ThrowsAsync<CommandFailedException>(() => waiting);
        Assert.Equal("a newer process took over the name 'replica-1' (gossip 127.0.0.1:7947, pid 4711); this one ends", end.Message);
    }

    [Fact]
    public async Task WaitForStop_Signal_EndsInOrder()
    {
        using var signal = new StopSignal(supervised: false);
        var waiting = MemberRun.WaitForStopAsync(new Replaceable(), Services, signal);

        signal.Request();

        await waiting;
    }

    /// <summary>The host had stopped, and the process stayed: a member that served nothing.</summary>
    [Fact]
    public async Task WaitForStop_BackgroundServiceFails_EndsTheProcess()
    {
        using var signal = new StopSignal(supervised: false);
        using var host = new CancellationTokenSource();
        var waiting = MemberRun.WaitForStopAsync(new Replaceable(), Services, signal, host.Token);
        Assert.False(waiting.IsCompleted);

        await host.CancelAsync();

        var end = await Assert.ThrowsAsync<CommandFailedException>(() => waiting);
        Assert.Equal("a background service failed; the log has the exception", end.Message);
    }

    /// <summary>The seeds were no longer followed, and only a line in the log said so.</summary>
    [Fact]
    public async Task WaitForStop_FollowingTheSeedsFails_EndsTheProcess()
    {
        using var signal = new StopSignal(supervised: false);
        var membership = new Replaceable();
        var waiting = MemberRun.WaitForStopAsync(membership, Services, signal);
        Assert.False(waiting.IsCompleted);

        membership.Change.SetException(new InvalidOperationException("broken"));

        var end = await Assert.ThrowsAsync<CommandFailedException>(() => waiting);
        Assert.Equal("a background service failed; the log has the exception", end.Message);
    }

    private sealed class Replaceable : StubMembership
    {
        public TaskCompletionSource<Member> Newer { get; } = new();

        public TaskCompletionSource<MembershipSnapshot> Change { get; } = new();

        public override MembershipSnapshot Current { get; } = new(version: 1, self: null!, members: [], seeds: []);

        public override ValueTask<MembershipSnapshot> WaitForChangeAsync(long version, CancellationToken cancellationToken) => new(Change.Task);

        public override Task<Member> Superseded => Newer.Task;
    }
}
