namespace Skein.Engines;

/// <summary>Why an engine did not serve a request.</summary>
public enum EngineError
{
    /// <summary>The engine failed; another replica may succeed.</summary>
    Failed,

    /// <summary>The engine's process cannot be reached: the request was not started.</summary>
    Unreachable,

    /// <summary>The connection to the engine's process broke: the process may have ended, with all its requests.</summary>
    Lost,

    /// <summary>The engine's process did not answer in time: it may be busy or frozen. Another replica may succeed.</summary>
    TimedOut,

    /// <summary>A field of the request is wrong on every replica. The message names field, value and what is allowed.</summary>
    InvalidRequest,

    /// <summary>Prompt and answer do not fit the model's context.</summary>
    ContextLengthExceeded,

    /// <summary>The model is not served here.</summary>
    ModelNotFound,

    /// <summary>The resume does not fit this engine: another fingerprint, or ids and text that disagree.</summary>
    ResumeRefused,

    /// <summary>The engine does not support the request.</summary>
    Unsupported,
}

/// <summary>An engine's refusal or failure; the message is meant for the client.</summary>
public sealed class EngineException : Exception
{
    /// <summary>Creates the exception.</summary>
    public EngineException(EngineError error, string message, Exception? innerException = null)
        : base(message, innerException) => Error = error;

    /// <summary>What kind of refusal or failure it is.</summary>
    public EngineError Error { get; }
}
