using Grpc.Core;

namespace Skein.Gateway.Admin;

/// <summary>What an operator asked for was not done. The message is one line, meant for the operator.</summary>
internal sealed class AdminRefusedException(int status, string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>HTTP status: 400 and 404 are wrong input, 409 does not fit the state of things, 502 and 504 are the replica's failure.</summary>
    public int Status { get; } = status;

    /// <summary>For programs.</summary>
    public string Code { get; } = code;

    public static AdminRefusedException Invalid(string message) => new(400, "invalid_value", message);

    public static AdminRefusedException Conflict(string message) => new(409, "conflict", message);

    /// <summary>What a replica's status means to the operator.</summary>
    public static AdminRefusedException From(string replica, RpcException error) => error.StatusCode switch
    {
        StatusCode.InvalidArgument => new(400, "invalid_value", error.Status.Detail, error),
        StatusCode.FailedPrecondition or StatusCode.PermissionDenied => new(409, "conflict", $"{replica}: {error.Status.Detail}", error),
        StatusCode.Unimplemented => new(409, "conflict", $"{replica} is of a version that cannot be asked this", error),
        StatusCode.DeadlineExceeded or StatusCode.Cancelled => new(504, "replica_silent", $"{replica} does not answer", error),
        _ => new(502, "replica_failed", $"{replica} does not answer: {error.Status.Detail}", error),
    };
}
