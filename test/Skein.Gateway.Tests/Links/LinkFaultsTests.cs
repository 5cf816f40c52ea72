using System.Net.Http;
using System.Net.Sockets;
using Grpc.Core;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Protocol;
using Skein.Routing.Streaming;

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
    [InlineData(StatusCode.Unauthenticated)]
    [InlineData(StatusCode.PermissionDenied)]
    public void From_RefusalOfTheRequest_BlamesTheRequest(StatusCode code) =>
        Assert.Equal(Fault.InvalidRequest, LinkFaults.From(new RpcException(new Status(code, "no"))).Fault);

    [Fact]
    public void From_CancelByTheReplica_LeavesTheConnectionAlone() =>
        Assert.Equal(Fault.EngineFailed, LinkFaults.From(new RpcException(new Status(StatusCode.Cancelled, "stopped"))).Fault);
}
