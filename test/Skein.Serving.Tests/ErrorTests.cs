using System.Net;
using Google.Rpc;
using Grpc.Core;
using Skein.Engines;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

public class ErrorTests
{
    [Theory]
    [InlineData(Fault.InvalidRequest, StatusCode.InvalidArgument, "INVALID_REQUEST")]
    [InlineData(Fault.Unsupported, StatusCode.InvalidArgument, "UNSUPPORTED")]
    [InlineData(Fault.ContextLengthExceeded, StatusCode.FailedPrecondition, "CONTEXT_LENGTH_EXCEEDED")]
    [InlineData(Fault.ResumeRefused, StatusCode.FailedPrecondition, "RESUME_REFUSED")]
    [InlineData(Fault.ModelNotFound, StatusCode.NotFound, "MODEL_NOT_FOUND")]
    [InlineData(Fault.Unreachable, StatusCode.Unavailable, "ENGINE_UNREACHABLE")]
    [InlineData(Fault.ConnectionLost, StatusCode.Unavailable, "ENGINE_LOST")]
    [InlineData(Fault.EngineFailed, StatusCode.Internal, "ENGINE_FAILED")]
    [InlineData(Fault.EngineTimedOut, StatusCode.Internal, "ENGINE_FAILED")]
    [InlineData(Fault.EngineBusy, StatusCode.Unavailable, "ENGINE_BUSY")]
    [InlineData(Fault.EngineKeyRefused, StatusCode.Internal, "ENGINE_KEY_REFUSED")]
    public async Task Generate_EngineException_KeepsItsMessageAndGetsCodeAndReason(Fault error, StatusCode code, string reason)
    {
        var failure = await FailureOfAsync(engine => engine.End(new FaultException(error, "the message")));

        Assert.Equal((code, "the message"), (failure.StatusCode, failure.Status.Detail));
        Assert.Equal((reason, "skein"), ReasonOf(failure));
    }

    [Fact]
    public async Task Generate_AnyOtherException_IsInternalAndTellsNoSecrets()
    {
        var failure = await FailureOfAsync(engine => engine.End(new InvalidOperationException("password=1234")));

        Assert.Equal((StatusCode.Internal, "the engine failed: InvalidOperationException"), (failure.StatusCode, failure.Status.Detail));
    }

    [Fact]
    public async Task Generate_EngineCancelsItself_IsAFailureAndNotTheCallersCancel()
    {
        var failure = await FailureOfAsync(engine => engine.End(new OperationCanceledException()));

        Assert.Equal(StatusCode.Internal, failure.StatusCode);
    }

    [Fact]
    public async Task Generate_EndWithoutFinish_IsInternalBehindTheTokens()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        engine.Say(ScriptedEngine.StartFrame, ScriptedEngine.Token(0));
        engine.End();
        using var call = replica.Generate();

        await call.NextAsync();
        Assert.Equal(1u, (await call.NextAsync()).Count);
        var failure = await call.FailureAsync();

        Assert.Equal((StatusCode.Internal, "the engine ended without a finish"), (failure.StatusCode, failure.Status.Detail));
    }

    [Fact]
    public async Task Generate_TokenBeforeTheStart_IsInternal()
    {
        var failure = await FailureOfAsync(engine => engine.Say(ScriptedEngine.Token(0)));

        Assert.Equal((StatusCode.Internal, "the engine sent frames out of order"), (failure.StatusCode, failure.Status.Detail));
    }

    [Fact]
    public async Task Generate_VeryLongMessage_IsShortenedToFitTheTrailers()
    {
        var failure = await FailureOfAsync(engine => engine.End(new FaultException(Fault.InvalidRequest, new string('é', 1_000_000))));

        Assert.Equal(StatusCode.InvalidArgument, failure.StatusCode);
        Assert.Equal(1025, failure.Status.Detail.Length);
    }

    [Fact]
    public async Task Generate_EngineAnsweredAnError_SendsItsDetails()
    {
        var error = new EngineError(422, new string('é', 4_096), "BadRequestError", "messages.0", "400", TimeSpan.FromSeconds(7)) { CodeIsNumber = true };

        var failure = await FailureOfAsync(engine => engine.End(new FaultException(Fault.InvalidRequest, "no") { Engine = error }));

        Assert.Equal(error, EngineErrorMetadata.Read(failure.GetRpcStatus()!.GetDetail<ErrorInfo>().Metadata));
    }

    [Fact]
    public async Task Generate_BadNames_AreRefused()
    {
        await using var replica = await TestReplica.StartAsync(new ScriptedEngine());
        foreach (var request in new[]
        {
            new GenerateRequest { RequestId = "line\nbreak" },
            new GenerateRequest { RequestId = new string('x', 129) },
            new GenerateRequest { Caller = new string('x', 129) },
            new GenerateRequest { Session = new string('x', 129) },
        })
        {
            using var call = replica.Generate(request);

            Assert.Equal(StatusCode.InvalidArgument, (await call.FailureAsync()).StatusCode);
        }
    }

    [Fact]
    public async Task Start_PortInUse_SaysSoInOneLine()
    {
        await using var first = await TestReplica.StartAsync(new ScriptedEngine());
        await using var second = ReplicaApp.Build(new ReplicaOptions { Endpoint = first.App.Endpoint }, new ScriptedEngine());

        var failure = await Assert.ThrowsAsync<BindException>(() => second.StartAsync(first.Token));

        Assert.Equal($"cannot listen on {first.App.Endpoint}: Address already in use", failure.Message, ignoreCase: true);
    }

    [Fact]
    public void Build_SettingOutOfRange_IsRefusedByName()
    {
        var options = new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0), Slots = 0 };

        var refusal = Assert.Throws<ArgumentException>(() => ReplicaApp.Build(options, new ScriptedEngine()));

        Assert.StartsWith("Slots is 0; allowed: 1 to 100000", refusal.Message);
    }

    private static async Task<RpcException> FailureOfAsync(Action<ScriptedEngine> script)
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        script(engine);
        using var call = replica.Generate();
        return await call.FailureAsync();
    }

    private static (string? Reason, string? Domain) ReasonOf(RpcException exception)
    {
        var info = exception.GetRpcStatus()?.GetDetail<ErrorInfo>();
        return (info?.Reason, info?.Domain);
    }
}
