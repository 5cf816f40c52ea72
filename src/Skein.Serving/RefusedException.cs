using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>Why a replica refused a request before its engine was asked, or gave a standby attempt up.</summary>
public enum Refusal
{
    /// <summary>A field of the request is wrong.</summary>
    InvalidRequest,

    /// <summary>No slot is free. <see cref="RefusedException.Load"/> is set.</summary>
    NoSlot,

    /// <summary>The replica is draining. <see cref="RefusedException.Load"/> is set.</summary>
    Draining,

    /// <summary>No standby attempt has these names.</summary>
    StandbyNotFound,

    /// <summary>Another standby attempt has these names.</summary>
    StandbyExists,

    /// <summary>The standby attempt was continued or dropped before.</summary>
    StandbyTaken,

    /// <summary>The standby attempt was not continued in time.</summary>
    StandbyExpired,
}

/// <summary>The replica refused a request. The message is meant for the client.</summary>
public sealed class RefusedException(Refusal refusal, string message, LoadReport? load = null) : Exception(message)
{
    /// <summary>Why.</summary>
    public Refusal Refusal { get; } = refusal;

    /// <summary>The replica's load at the refusal, where the refusal depends on it.</summary>
    public LoadReport? Load { get; } = load;
}
