using Microsoft.Extensions.Logging;
using Skein.Gateway.Group;
using Skein.Gateway.Tests.Api;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Tests.Group;

public sealed class AliasedFleetTests : IDisposable
{
    private readonly ScriptedFleet _source = new();
    private readonly LogLines _log = new();
    private readonly ILoggerFactory _loggers;

    public AliasedFleetTests() => _loggers = LoggerFactory.Create(logging => logging.AddProvider(_log));

    [Fact]
    public void Current_ReplicasOfItsModels_ServeTheAliasUnderTheirOwnNames()
    {
        using var fleet = Fleet(new ModelAlias("big", ["qwen3-8b", "qwen3:8b"]));
        _source.Set(Replica("a", "qwen3-8b", "other"), Replica("b", "qwen3:8b"), Replica("c", "other"));

        var current = fleet.Current;

        Assert.Equal([["qwen3-8b", "other", "big"], ["qwen3:8b", "big"], ["other"]], current.Replicas.Select(replica => replica.Models));
        Assert.Equal(["qwen3-8b", "qwen3:8b", "big"], current.Replicas.Select(replica => replica.OwnNameOf("big")));
        Assert.Equal(["f:qwen3-8b", "f:qwen3:8b", ""], current.Replicas.Select(replica => replica.FingerprintOf("big")));
        Assert.Equal("qwen3-8b", current.Replicas[0].ModelDescriptions["big"].Name);
        Assert.Same(current, fleet.Current);
    }

    /// <summary>A model of the alias's name comes first: the alias only widens who serves it.</summary>
    [Fact]
    public void Current_AliasWithTheNameOfAModel_KeepsThatModel()
    {
        using var fleet = Fleet(new ModelAlias("m", ["m-quantized"]));
        _source.Set(Replica("a", "m", "m-quantized"), Replica("b", "m-quantized"));

        Assert.Equal(["m", "m-quantized"], fleet.Current.Replicas.Select(replica => replica.OwnNameOf("m")));
    }

    [Fact]
    public void Current_ModelThatIsGone_ItsAliasStaysKnownAndItsTroubleConcernsIt()
    {
        using var fleet = Fleet(new ModelAlias("big", ["m"]));
        _source.Current = new FleetView([], ["m"], Complete: true) { Troubles = [new FleetTrouble(["m"], "down", IsFinal: false), new FleetTrouble(null, "", IsFinal: false)] };

        Assert.Equal(["m", "big"], fleet.Current.KnownModels);
        Assert.Equal(["m", "big"], fleet.Current.Troubles[0].Models);
        Assert.Null(fleet.Current.Troubles[1].Models);
    }

    /// <summary>What servers serve is known only while they run.</summary>
    [Fact]
    public void Current_AliasOfNoModel_IsReportedOnceAndAgainAfterItWasServed()
    {
        using var fleet = Fleet(new ModelAlias("big", ["nomodel"]));
        _source.Current = new FleetView([], ["m"], Complete: false);
        _ = fleet.Current;
        Assert.Empty(_log.All);

        foreach (var models in (string[][])[["m"], ["m", "n"], ["nomodel"], ["m"]])
        {
            _source.Current = new FleetView([], models, Complete: true);
            _ = fleet.Current;
        }

        Assert.Equal(
            Enumerable.Repeat("Alias big is for nomodel, which no replica serves; served: m. Requests for it get 404 until one does", 2),
            _log.All.Select(line => line.Message));
    }

    public void Dispose()
    {
        _loggers.Dispose();
        _log.Dispose();
    }

    private AliasedFleet Fleet(params ModelAlias[] aliases) => new(_source, aliases, _loggers.CreateLogger<AliasedFleet>());

    private static ReplicaDescription Replica(string name, params string[] models) => new()
    {
        Id = new ReplicaId(name, 1), Address = name, Models = models, Slots = 1,
        Fingerprints = models.ToDictionary(model => model, model => $"f:{model}"),
        ModelDescriptions = models.ToDictionary(model => model, model => new ModelDescription { Name = model }),
    };

    private sealed class ScriptedFleet : IFleetSource
    {
        public event Action? Changed;

        public FleetView Current { get; set; } = FleetView.Empty;

        public void Set(params ReplicaDescription[] replicas)
        {
            Current = new FleetView(replicas, [], Complete: true);
            Changed?.Invoke();
        }
    }
}
