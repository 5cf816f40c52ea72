using System.Net.Sockets;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;

namespace Skein.Engines.Tests.OpenAiCompatible;

public class EngineCallTests
{
    /// <summary>
    /// A connection that is reset while it is made: HttpClient passes the socket's exception on, which looked like a bug of the engine.
    /// </summary>
    [Fact]
    public async Task RunAsync_ConnectionIsResetWhileItIsMade_ServerIsUnreachable()
    {
        using var call = new EngineCall("server", TimeSpan.FromMinutes(1), TimeProvider.System, CancellationToken.None);

        var fault = await Assert.ThrowsAsync<FaultException>(
            () => call.RunAsync(Task.FromException<int>(new SocketException((int)SocketError.NotConnected))));

        Assert.Equal(Fault.Unreachable, fault.Fault);
    }
}
