using Microsoft.Extensions.Logging.Abstractions;
using Skein.Gateway.Group;
using Skein.Gateway.Tests.Links;
using Skein.Gateway.Upstreams;
using Skein.Routing.Fleet;
using Skein.Serving;

namespace Skein.Gateway.Tests.Upstreams;

public sealed class UpstreamFleetTests : IDisposable
{
    private readonly UpstreamFleet _fleet = new(new GroupFleet(), TimeProvider.System);
    private readonly List<EngineHost> _hosts = [];
    private readonly Dictionary<string, UpstreamRow> _rows = [];

    /// <summary>Two servers that answered late at the same time were both taken out.</summary>
    [Fact]
    public void TryLeave_TwoOfOneModelAtTheSameTime_OneStays()
    {
        var (first, second) = (Serve("a", "m"), Serve("b", "m"));

        Assert.True(_fleet.TryLeave(first));
        Assert.False(_fleet.TryLeave(second));

        _fleet.Down(_rows["a"]);
        Assert.False(_fleet.TryLeave(second));
    }

    [Fact]
    public void TryLeave_OtherServesAnotherModel_Stays()
    {
        var first = Serve("a", "m");
        Serve("b", "other");

        Assert.False(_fleet.TryLeave(first));
    }

    [Fact]
    public void TryLeave_OtherIsBack_MayLeave()
    {
        var (first, second) = (Serve("a", "m"), Serve("b", "m"));
        Assert.True(_fleet.TryLeave(first));
        _fleet.Down(_rows["a"]);
        _fleet.Remove(_rows["a"]);
        Serve("a", "m", generation: 2);

        Assert.True(_fleet.TryLeave(second));
    }

    public void Dispose()
    {
        _fleet.Dispose();
        _hosts.ForEach(host => host.Dispose());
    }

    private ReplicaId Serve(string name, string model, ulong generation = 1)
    {
        var host = new EngineHost(new KeyedEngine(), new EngineHostOptions { Slots = 1 }, TimeProvider.System, NullLoggerFactory.Instance);
        _hosts.Add(host);
        var id = new ReplicaId(name, generation);
        _rows[name] = _fleet.Add(name, name, [], url: null);
        _fleet.Up(_rows[name], new ReplicaDescription { Id = id, Address = "in-process", Models = [model], Slots = 1 }, host.Control);
        return id;
    }
}
