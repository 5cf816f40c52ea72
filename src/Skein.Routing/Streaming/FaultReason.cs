namespace Skein.Routing.Streaming;

/// <summary>Why an attempt was given up and another one begun.</summary>
public enum FaultReason
{
    /// <summary>No connection could be made.</summary>
    Unreachable,

    /// <summary>The connection broke.</summary>
    ConnectionLost,

    /// <summary>No sign of life from the replica.</summary>
    LinkStall,

    /// <summary>Signs of life, but no token.</summary>
    EngineStall,

    /// <summary>The engine failed.</summary>
    EngineError,

    /// <summary>The stream ended without a finish frame.</summary>
    NoFinish,

    /// <summary>The frames broke the protocol: a gap, a repeat, a wrong start.</summary>
    ProtocolError,

    /// <summary>The replica began to drain.</summary>
    Draining,

    /// <summary>The replica does not serve the model (any more).</summary>
    ModelGone,

    /// <summary>The replica could not go on from the journal.</summary>
    ResumeRefused,

    /// <summary>The replica was so much slower than another one that moving paid.</summary>
    Straggler,
}

/// <summary>What each reason means to a session.</summary>
public static class FaultReasons
{
    /// <summary>All reasons.</summary>
    public static IReadOnlyList<FaultReason> All { get; } = Enum.GetValues<FaultReason>();

    /// <summary>The word for it in metrics, logs and comments.</summary>
    public static string ToWireName(this FaultReason reason) => reason switch
    {
        FaultReason.Unreachable => "unreachable",
        FaultReason.ConnectionLost => "connection_lost",
        FaultReason.LinkStall => "link_stall",
        FaultReason.EngineStall => "engine_stall",
        FaultReason.EngineError => "engine_error",
        FaultReason.NoFinish => "no_finish",
        FaultReason.ProtocolError => "protocol_error",
        FaultReason.Draining => "draining",
        FaultReason.ModelGone => "model_gone",
        FaultReason.ResumeRefused => "resume_refused",
        FaultReason.Straggler => "straggler",
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, "unknown reason"),
    };

    /// <summary>True when the whole replica cannot be talked to, not just this stream.</summary>
    internal static bool IsOfConnection(this FaultReason reason) =>
        reason is FaultReason.Unreachable or FaultReason.ConnectionLost or FaultReason.LinkStall;

    /// <summary>What an end of an attempt is, if it is a fault.</summary>
    internal static FaultReason Of(LinkError error) => error switch
    {
        LinkError.Unreachable => FaultReason.Unreachable,
        LinkError.ConnectionLost => FaultReason.ConnectionLost,
        LinkError.Draining => FaultReason.Draining,
        LinkError.ModelNotFound => FaultReason.ModelGone,
        LinkError.ResumeRefused => FaultReason.ResumeRefused,
        _ => FaultReason.EngineError,
    };

    /// <summary>True when the engine is to blame: its replica can be talked to, and did not do what it should. Going on elsewhere costs the budget of retries.</summary>
    internal static bool IsOfEngine(this FaultReason reason) =>
        reason is FaultReason.EngineStall or FaultReason.EngineError or FaultReason.NoFinish or FaultReason.ProtocolError;

    /// <summary>True when the request itself may be what brought the attempt down.</summary>
    internal static bool MayBePoison(this FaultReason reason) =>
        reason is not (FaultReason.Unreachable or FaultReason.Draining or FaultReason.ModelGone or FaultReason.ResumeRefused);
}
