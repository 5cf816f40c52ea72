using System.Net.Http;
using System.Net.Sockets;
using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Protocol;
using Skein.Routing.Streaming;
using RpcStatus = Google.Rpc.Status;
using Status = Grpc.Core.Status;

namespace Skein.Gateway.Tests.Links;

public sealed class LinkErrorsTests
{
    /// <summary>gRPC's cause when a connection cannot be made: refused, or not made within the connect timeout.</summary>
    private static readonly Exception[] VainConnects =
    [
        new SocketException((int)SocketError.TimedOut),
        new TimeoutException("a connection could not be made in time"),
        new OperationCanceledException(),
        new TaskCanceledException("a connection could not be made in time", new TimeoutException()),
        new HttpRequestException(HttpRequestError.ConnectionError, "refused", new SocketException((int)SocketError.ConnectionRefused)),
    ];

    /// <summary>gRPC's cause when an established connection breaks.</summary>
    private static readonly Exception[] Breaks =
    [
        new IOException("reset", new SocketException((int)SocketError.ConnectionReset)),
        new HttpRequestException("no answer to a ping", new IOException("aborted", new TimeoutException())),
        new HttpIOException(HttpRequestError.ResponseEnded),
    ];

    [Fact]
    public void From_ConnectThatWasVain_IsNotCountedAsALostConnection() => Assert.All(VainConnects, cause =>
    {
        Assert.Equal(Fault.Unreachable, LinkFaults.From(new RpcException(new Status(StatusCode.Unavailable, "", cause))).Fault);
        Assert.Equal(Fault.Unreachable, LinkFaults.From(new RpcException(new Status(StatusCode.Cancelled, "", cause))).Fault);
    });

    [Fact]
    public void From_ConnectionThatBroke_IsLost() => Assert.All(
        Breaks, cause => Assert.Equal(Fault.ConnectionLost, LinkFaults.From(new RpcException(new Status(StatusCode.Unavailable, "", cause))).Fault));

    /// <summary>A refusal of the request or its sender is not a fault of the replica: it is not retried, and no breaker counts it.</summary>
    [Theory]
    [InlineData(StatusCode.InvalidArgument)]
    [InlineData(StatusCode.PermissionDenied)]
    public void From_RefusalOfTheRequest_BlamesTheRequest(StatusCode code) =>
        Assert.Equal(Fault.InvalidRequest, LinkFaults.From(new RpcException(new Status(code, "no"))).Fault);

    /// <summary>The replica refuses this gateway's link key: that says nothing of the request.</summary>
    [Fact]
    public void From_RefusalOfTheGateway_BlamesTheReplica() =>
        Assert.Equal(Fault.Unreachable, LinkFaults.From(new RpcException(new Status(StatusCode.Unauthenticated, "no"))).Fault);

    [Fact]
    public void From_StatusWithTheEnginesError_KeepsItWithinItsBounds()
    {
        var error = new EngineError(429, "slow down", "rate_limit_error", "model", "17", TimeSpan.FromMilliseconds(1_500)) { CodeIsNumber = true };
        var info = new ErrorInfo { Domain = FaultTable.Domain, Reason = "ENGINE_BUSY" };
        EngineErrorMetadata.Write(error, info.Metadata);
        var status = new RpcStatus { Code = (int)StatusCode.Unavailable, Message = "busy", Details = { Any.Pack(info) } };

        Assert.Equal((Fault.EngineBusy, error), (LinkFaults.From(status).Fault, LinkFaults.From(status).Engine));
        Assert.Equal((Fault.EngineBusy, error), (LinkFaults.From(status.ToRpcException()).Fault, LinkFaults.From(status.ToRpcException()).Engine));
    }

    [Theory]
    [InlineData("engine_status", "200")]
    [InlineData("engine_status", "-400")]
    [InlineData("engine_status", "")]
    public void Read_StatusThatIsNoError_IsNoEnginesError(string name, string value) => Assert.Null(Read((name, value), ("engine_message", "x")));

    [Fact]
    public void Read_HostileMetadata_IsCutAndItsCodeIsNoJson()
    {
        var read = Read(
            ("engine_status", "400"),
            ("engine_message", new string('x', 100_000)),
            ("engine_type", new string('y', 100_000)),
            ("engine_code", "1}, {"),
            ("engine_code_is_number", "true"),
            ("engine_retry_after_ms", "9223372036854775807"));

        Assert.Equal((4_096, 256, false, EngineError.LongestRetryAfter), (read!.Message.Length, read.Type!.Length, read.CodeIsNumber, read.RetryAfter));
    }

    private static EngineError? Read(params (string Name, string Value)[] members)
    {
        var metadata = new MapField<string, string>();
        foreach (var (name, value) in members)
            metadata[name] = value;
        return EngineErrorMetadata.Read(metadata);
    }

    [Fact]
    public void From_CancelByTheReplica_LeavesTheConnectionAlone() =>
        Assert.Equal(Fault.EngineFailed, LinkFaults.From(new RpcException(new Status(StatusCode.Cancelled, "stopped"))).Fault);
}
