namespace Skein.EndToEnd.Support;

/// <summary>A cluster that the tests of one collection share. Each test leaves all members running.</summary>
public abstract class SharedCluster(params string[] flags) : IAsyncLifetime
{
    private ClusterProcess? _cluster;

    internal ClusterProcess Cluster
    {
        get
        {
            Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");
            return _cluster!;
        }
    }

    public async ValueTask InitializeAsync()
    {
        if (OperatingSystem.IsLinux())
            _cluster = await ClusterProcess.StartAsync(flags);
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_cluster is not null)
            await _cluster.DisposeAsync();
    }
}

/// <summary>As the quickstart starts it: three replicas with the embedded model.</summary>
public sealed class EmbeddedCluster() : SharedCluster("--restart-delay", "200ms")
{
    public const string Name = "embedded";
}

/// <summary>Three replicas with the simulated engine behind two gateways.</summary>
public sealed class SimulatedCluster() : SharedCluster("--engine", "simulated", "--tokens-per-second", "40", "--gateways", "2", "--restart-delay", "200ms")
{
    public const string Name = "simulated";
}

[CollectionDefinition(EmbeddedCluster.Name)]
public sealed class EmbeddedCollection : ICollectionFixture<EmbeddedCluster>;

[CollectionDefinition(SimulatedCluster.Name)]
public sealed class SimulatedCollection : ICollectionFixture<SimulatedCluster>;
