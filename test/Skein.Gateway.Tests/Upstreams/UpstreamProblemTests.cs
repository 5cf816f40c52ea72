using System.Net.Http;
using Skein.Gateway.Upstreams;
using Skein.Protocol;

namespace Skein.Gateway.Tests.Upstreams;

/// <summary>What an operator can cause in the first hour is named.</summary>
public class UpstreamProblemTests
{
    [Theory]
    [InlineData(Fault.EngineKeyRefused, "refuses the gateway's key", true)]
    [InlineData(Fault.Unsupported, "does not answer /v1/models as expected: check its URL (http or https, port, path) and its kind", true)]
    [InlineData(Fault.ModelNotFound, "does not serve the model that it is configured for", true)]
    [InlineData(Fault.EngineBusy, "is still loading its model, or is overloaded", false)]
    [InlineData(Fault.Unreachable, "does not answer", false)]
    [InlineData(Fault.EngineTimedOut, "does not answer", false)]
    [InlineData(Fault.ConnectionLost, "closes connections without an answer: check http or https, and the port, in its URL", false)]
    [InlineData(Fault.EngineFailed, "fails", false)]
    public void Of_Fault_NamesTheCauseAndWhetherWaitingHelps(Fault fault, string cause, bool isFinal)
    {
        var problem = UpstreamProblem.Of(new FaultException(fault, "the engine at http://10.0.0.1/ says no"));

        Assert.Equal((cause, isFinal), (problem.Cause, problem.IsFinal));
        Assert.Equal($"{cause} (the engine at http://10.0.0.1/ says no)", problem.Reason);
    }

    [Theory]
    [InlineData(HttpRequestError.NameResolutionError, "has a host name that cannot be resolved")]
    [InlineData(HttpRequestError.SecureConnectionError, "cannot be reached over TLS: check its certificate, and http or https in its URL")]
    [InlineData(HttpRequestError.InvalidResponse, "does not answer in HTTP: check http or https, and the port, in its URL")]
    public void Of_WrongHostOrCertificate_NeedsAnOperator(HttpRequestError error, string cause)
    {
        var problem = UpstreamProblem.Of(new FaultException(Fault.Unreachable, "unreachable", new HttpRequestException(error)));

        Assert.Equal((cause, true), (problem.Cause, problem.IsFinal));
    }

    /// <summary>An error status without further words was "fails".</summary>
    [Fact]
    public void Of_ErrorStatus_NamesIt()
    {
        var problem = UpstreamProblem.Of(new FaultException(Fault.EngineFailed, "m") { Engine = new EngineError(504, "no message") });

        Assert.Equal(("answers with status 504", false), (problem.Cause, problem.IsFinal));
    }

    [Theory]
    [InlineData(Fault.EngineFailed, false)]
    [InlineData(Fault.Unsupported, true)]
    [InlineData(Fault.EngineKeyRefused, true)]
    public void Of_FaultThatNamesItsCause_TellsIt(Fault fault, bool isFinal)
    {
        var problem = UpstreamProblem.Of(new FaultException(fault, "m") { Cause = "lists no models" });

        Assert.Equal(("lists no models", isFinal), (problem.Cause, problem.IsFinal));
    }
}
