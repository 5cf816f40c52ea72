namespace Skein.Engines;

/// <summary>Why an engine did not serve a request.</summary>
public enum EngineError
{
    /// <summary>The engine failed; another replica may succeed.</summary>
    Failed,

    /// <summary>The engine's process cannot be reached: nothing was begun there, and nothing else can be.</summary>
    Unreachable,

    /// <summary>The connection to the engine's process broke: it may be gone, with all that it ran.</summary>
    Lost,

    /// <summary>The engine's process said nothing in time: it may be busy, or frozen. Another replica may succeed.</summary>
    TimedOut,

    /// <summary>A field of the request is wrong; nobody will serve it. The message names field, value and what is allowed.</summary>
    InvalidRequest,

    /// <summary>Prompt and answer do not fit the model's context.</summary>
    ContextLengthExceeded,

    /// <summary>The model is not served here.</summary>
    ModelNotFound,

    /// <summary>The resume does not fit this engine: other fingerprint, or ids and text that disagree.</summary>
    ResumeRefused,

    /// <summary>The engine cannot do what was asked, here or after a retry.</summary>
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
