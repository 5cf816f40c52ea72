using System.Collections.Frozen;

namespace Skein.Routing.Fleet;

/// <summary>One life of a replica's name.</summary>
/// <param name="Name">Member name.</param>
/// <param name="Generation">Life of the name; a restarted process has a higher one.</param>
public readonly record struct ReplicaId(string Name, ulong Generation)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Name}@{Generation}";
}

/// <summary>What a fleet source knows of a replica. Immutable; a change comes as a new one.</summary>
public sealed record ReplicaDescription
{
    /// <summary>Name and life.</summary>
    public required ReplicaId Id { get; init; }

    /// <summary>Where the link reaches it: <c>host:port</c> of its gRPC service, unless the link has another way. Only the link reads it.</summary>
    public required string Address { get; init; }

    /// <summary>Names of the models it serves.</summary>
    public required IReadOnlyList<string> Models { get; init; }

    /// <summary>Concurrency limit, all models together. At least 1.</summary>
    public required int Slots { get; init; }

    /// <summary>Share of work relative to other replicas. Above 0; default 1.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Hash of weights, tokenizer, template, engine build and numerics, of every model that <see cref="Fingerprints"/> does not name; empty where unknown.</summary>
    public string Fingerprint { get; init; } = "";

    /// <summary>The same for each model, where the replica told it.</summary>
    public IReadOnlyDictionary<string, string> Fingerprints { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>Changes with the models and their fingerprints: what the replica said under another one is out of date. 0 where the source has none.</summary>
    public ulong ModelsDigest { get; init; }

    /// <summary>Takes no new work.</summary>
    public bool Draining { get; init; }

    /// <summary>Draining, and its grace is over: streams that still run on it should be moved elsewhere.</summary>
    public bool HandOver { get; init; }

    /// <summary>Suspected by the group: asked only when nobody else can.</summary>
    public bool Suspect { get; init; }

    /// <summary>Fingerprint of one model; empty where unknown.</summary>
    public string FingerprintOf(string model) => Fingerprints.GetValueOrDefault(model, Fingerprint);
}
