using System.Net.Sockets;
using System.Text;
using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>What a member tells systemd (sd_notify): when it is ready, and when it stops.</summary>
public sealed class ServiceManagerTests
{
    [Fact]
    public async Task Gateway_UnderAServiceManager_SaysWhenItIsReadyAndWhenItStops()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals and systemd's socket");
        var folder = Directory.CreateTempSubdirectory("skein-notify");
        try
        {
            var path = Path.Combine(folder.FullName, "notify");
            using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            manager.Bind(new UnixDomainSocketEndPoint(path));
            await using var gateway = SkeinProcess.Start(
                new Dictionary<string, string> { ["NOTIFY_SOCKET"] = path }, "gateway", "--http", "0", "--grpc", "0", "--gossip", "0");

            Assert.Equal("READY=1", await ReceiveAsync(manager));
            gateway.Handle.Send(Signal.Terminate);
            Assert.Equal("STOPPING=1", await ReceiveAsync(manager));
            Assert.Equal(0, (await gateway.EndAsync()).ExitCode);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<string> ReceiveAsync(Socket manager)
    {
        using var timeout = new CancellationTokenSource(Until.StartTimeout, TimeProvider.System);
        var buffer = new byte[256];
        var read = await manager.ReceiveAsync(buffer, SocketFlags.None, timeout.Token);
        return Encoding.ASCII.GetString(buffer, 0, read);
    }
}
