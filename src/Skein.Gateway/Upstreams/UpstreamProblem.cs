using System.Net.Http;

namespace Skein.Gateway.Upstreams;

/// <summary>Why an upstream is not served. Immutable.</summary>
/// <param name="Cause">The cause as a predicate of the upstream, such as "refuses the gateway's key". For clients and operators; without an address.</param>
/// <param name="Detail">What happened, for operators.</param>
/// <param name="IsFinal">Whether an operator must act first: waiting alone does not help.</param>
internal sealed record UpstreamProblem(string Cause, string Detail, bool IsFinal)
{
    /// <summary>Before the first attempt to connect has ended.</summary>
    public static UpstreamProblem Connecting { get; } = new("has not answered yet", "", IsFinal: false);

    /// <summary>It accepts what is sent to it and says nothing.</summary>
    public static UpstreamProblem Silent(TimeSpan wait) => new($"has not answered for {wait.TotalSeconds:0} s", "", IsFinal: false);

    /// <summary>Fault of the requests that end because of it.</summary>
    public Fault Fault { get; init; } = Fault.NoReplica;

    /// <summary>One line for operators.</summary>
    public string Reason => Detail.Length > 0 ? $"{Cause} ({Detail})" : Cause;

    public static UpstreamProblem Of(Exception error)
    {
        var (cause, isFinal) = error switch
        {
            FaultException { Cause: { } named, Fault: var fault } => (named, fault is Fault.EngineKeyRefused or Fault.Unsupported),
            FaultException { Fault: Fault.EngineKeyRefused } => ("refuses the gateway's key", true),
            FaultException { Fault: Fault.EngineBusy } => ("is still loading its model, or is overloaded", false),
            FaultException { Fault: Fault.ModelNotFound } => ("does not serve the model that it is configured for", true),
            FaultException { Fault: Fault.Unsupported or Fault.InvalidRequest } =>
                ("does not answer /v1/models as expected: check its URL (http or https, port, path) and its kind", true),
            FaultException { InnerException: HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } } =>
                ("has a host name that cannot be resolved", true),
            FaultException { InnerException: HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } } =>
                ("cannot be reached over TLS: check its certificate, and http or https in its URL", true),
            FaultException { InnerException: HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse } } =>
                ("does not answer in HTTP: check http or https, and the port, in its URL", true),
            FaultException { Fault: Fault.ConnectionLost } => ("closes connections without an answer: check http or https, and the port, in its URL", false),
            FaultException { Fault: Fault.Unreachable or Fault.EngineTimedOut } => ("does not answer", false),
            ArgumentException => ("is configured wrongly", true),
            FaultException { Fault: Fault.EngineFailed, Engine: { } answer } => ($"answers with status {answer.Status}", false),
            _ => ("fails", false),
        };
        return new UpstreamProblem(cause, error.Message, isFinal)
        {
            Fault = error is FaultException { Fault: Fault.EngineKeyRefused } ? Fault.EngineKeyRefused : Fault.NoReplica,
        };
    }
}
