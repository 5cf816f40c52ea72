namespace Skein.Gateway.Admin;

/// <summary>An operator's request was not carried out. The message is one line for the operator.</summary>
internal sealed class AdminRefusedException(int status, string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>HTTP status: 400, 404 and 415: invalid input; 409: not possible in the current state; 502 and 504: the replica failed.</summary>
    public int Status { get; } = status;

    public string Code { get; } = code;

    public static AdminRefusedException Invalid(string message) => new(400, "invalid_value", message);

    public static AdminRefusedException Conflict(string message) => new(409, "conflict", message);

    /// <summary>Maps the gRPC status of a replica's answer.</summary>
    public static AdminRefusedException From(string replica, RpcException error) => error.StatusCode switch
    {
        StatusCode.InvalidArgument => new(400, "invalid_value", error.Status.Detail, error),
        StatusCode.FailedPrecondition or StatusCode.PermissionDenied => new(409, "conflict", $"{replica}: {error.Status.Detail}", error),
        StatusCode.Unimplemented => new(409, "conflict", $"{replica} is of a version that cannot be asked this", error),
        StatusCode.DeadlineExceeded or StatusCode.Cancelled => new(504, "replica_silent", $"{replica} does not answer", error),
        _ => new(502, "replica_failed", $"{replica} does not answer: {error.Status.Detail}", error),
    };
}
