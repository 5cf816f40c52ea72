using System.Collections.Frozen;

namespace Skein.Routing.Fleet;

/// <summary>One generation of a replica's name.</summary>
/// <param name="Generation">Generation of the name: a restarted process has a higher one.</param>
public readonly record struct ReplicaId(string Name, ulong Generation)
{
    public override string ToString() => $"{Name}@{Generation}";
}

/// <summary>What a fleet source knows of a replica. Immutable; a change is a new description.</summary>
public sealed record ReplicaDescription
{
    public required ReplicaId Id { get; init; }

    /// <summary>Name that clients see, in headers and failover reports. Default: the name in <see cref="Id"/>.</summary>
    public string PublicName
    {
        get => field ?? Id.Name;
        init;
    }

    /// <summary>Where the link reaches it: <c>host:port</c> of its gRPC service, or what another link uses. Only the link reads it.</summary>
    public required string Address { get; init; }

    public required IReadOnlyList<string> Models { get; init; }

    /// <summary>Concurrency limit, all models together; 0 while other gateways have all slots.</summary>
    public required int Slots { get; init; }

    /// <summary>Share of work relative to other replicas. Above 0; default 1.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Share of its engine's KV cache that is in use, 0 to 1, at most an eighth too low; 0 if unknown.</summary>
    public double KvUsed { get; init; }

    /// <summary>Hash of weights, tokenizer, template, engine build and numerics, by model; without those of which the replica reported none.</summary>
    public IReadOnlyDictionary<string, string> Fingerprints { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>Changes with the models and their fingerprints: an answer to Describe under another digest is out of date. 0 if the source has none.</summary>
    public ulong ModelsDigest { get; init; }

    /// <summary>Changes whenever the replica publishes metadata, even with the same content. 0 if the source does not count.</summary>
    public ulong MetadataVersion { get; init; }

    public bool Draining { get; init; }

    /// <summary>Whether the grace period of its drain is over: its streams should be moved to other replicas.</summary>
    public bool HandOver { get; init; }

    /// <summary>Whether membership suspects it: it is picked only when no other replica can serve the request.</summary>
    public bool Suspect { get; init; }

    /// <summary>Kind of its engine or server, for reports; empty if unknown.</summary>
    public string Kind { get; init; } = "";

    /// <summary>How well a lost answer of its best model can be resumed, for reports: exact, tokens, text or none; empty if unknown.</summary>
    public string Tier { get; init; } = "";

    /// <summary>Why lost answers of some kinds are made again from their start instead of being continued, for reports; empty: none are, or unknown.</summary>
    public string TierReason { get; init; } = "";

    /// <summary>Why it serves this gateway nothing until an operator acts, for reports; empty: it does serve. Such a replica has no models.</summary>
    public string Problem { get; init; } = "";

    /// <summary>What it says of each model; without those of which it says nothing. Must not be changed.</summary>
    public IReadOnlyDictionary<string, ModelDescription> ModelDescriptions { get; init; } = FrozenDictionary<string, ModelDescription>.Empty;

    /// <summary>Its own names of the models that it serves under an alias, by alias.</summary>
    public IReadOnlyDictionary<string, string> OwnNames { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>The name under which it knows one of its <see cref="Models"/>.</summary>
    public string OwnNameOf(string model) => OwnNames.Count > 0 && OwnNames.TryGetValue(model, out var own) ? own : model;

    /// <summary>Fingerprint of one model; empty if unknown.</summary>
    public string FingerprintOf(string model) => Fingerprints.GetValueOrDefault(model, "");

    internal bool IsSameAs(ReplicaDescription other) =>
        ReferenceEquals(this, other)
        || (Models.SequenceEqual(other.Models, StringComparer.Ordinal)
            && Fingerprints.Count == other.Fingerprints.Count && !Fingerprints.Except(other.Fingerprints).Any()
            && AreSame(ModelDescriptions, other.ModelDescriptions) && AreSame(OwnNames, other.OwnNames)
            && this with
            {
                Models = other.Models, Fingerprints = other.Fingerprints, ModelDescriptions = other.ModelDescriptions, OwnNames = other.OwnNames,
            } == other);

    private static bool AreSame<T>(IReadOnlyDictionary<string, T> left, IReadOnlyDictionary<string, T> right) =>
        ReferenceEquals(left, right) || (left.Count == right.Count && !left.Except(right).Any());
}
