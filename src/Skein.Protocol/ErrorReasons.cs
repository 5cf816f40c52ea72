namespace Skein.Protocol;

/// <summary>
/// <c>google.rpc.ErrorInfo.reason</c> in the details of a replica's errors, under the domain <see cref="Domain"/>. Part of the wire: never renamed.
/// </summary>
public static class ErrorReasons
{
    /// <summary>Domain of all these reasons.</summary>
    public const string Domain = "skein";

    /// <summary>INVALID_ARGUMENT: a field is wrong.</summary>
    public const string InvalidRequest = "INVALID_REQUEST";

    /// <summary>INVALID_ARGUMENT: the engine cannot do what was asked.</summary>
    public const string Unsupported = "UNSUPPORTED";

    /// <summary>FAILED_PRECONDITION: prompt and answer do not fit the model's context.</summary>
    public const string ContextLengthExceeded = "CONTEXT_LENGTH_EXCEEDED";

    /// <summary>FAILED_PRECONDITION: the resume does not fit this replica.</summary>
    public const string ResumeRefused = "RESUME_REFUSED";

    /// <summary>
    /// NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION or ABORTED: no attempt is held under these names, another one is, it was continued
    /// before, or it was not continued in time.
    /// </summary>
    public const string StandbyRefused = "HOLD_REFUSED";

    /// <summary>NOT_FOUND: the model is not served here.</summary>
    public const string ModelNotFound = "MODEL_NOT_FOUND";

    /// <summary>INTERNAL: the engine failed; another replica may succeed.</summary>
    public const string EngineFailed = "ENGINE_FAILED";

    /// <summary>
    /// UNAVAILABLE: the engine is a process of its own and cannot be reached, or is frozen. The replica's Describe fails with it until it answers.
    /// </summary>
    public const string EngineUnreachable = "ENGINE_UNREACHABLE";

    /// <summary>UNAVAILABLE: as <see cref="EngineUnreachable"/>, in the middle of a call: what it ran is lost.</summary>
    public const string EngineLost = "ENGINE_LOST";

    /// <summary>UNAVAILABLE: the replica takes no new work. A second detail is the <c>LoadReport</c>.</summary>
    public const string Draining = "DRAINING";
}
