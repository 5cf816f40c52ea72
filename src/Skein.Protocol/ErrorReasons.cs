namespace Skein.Protocol;

/// <summary>Reasons in <c>google.rpc.ErrorInfo</c> details, where a status code alone says too little.</summary>
public static class ErrorReasons
{
    /// <summary>Domain of all of them.</summary>
    public const string Domain = "skein";

    /// <summary>With UNAVAILABLE: the replica takes no new work.</summary>
    public const string Draining = "DRAINING";

    /// <summary>With FAILED_PRECONDITION: prompt and answer do not fit the model's context.</summary>
    public const string ContextLengthExceeded = "CONTEXT_LENGTH_EXCEEDED";

    /// <summary>With FAILED_PRECONDITION: the replica cannot go on from this journal.</summary>
    public const string ResumeRefused = "RESUME_REFUSED";

    /// <summary>With NOT_FOUND: the model is not served.</summary>
    public const string ModelNotFound = "MODEL_NOT_FOUND";
}
