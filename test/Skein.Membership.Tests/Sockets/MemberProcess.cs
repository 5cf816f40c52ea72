using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Sockets;

/// <summary>
/// A member in a process of its own, which can be killed, stopped and continued. The process is this test program, started with its name
/// and seed in the environment: it then plays a member until its standard input ends, and never reaches the tests.
/// </summary>
internal sealed class MemberProcess : IDisposable
{
    private const string NameVariable = "SKEIN_TEST_MEMBER_NAME";
    private const string SeedVariable = "SKEIN_TEST_MEMBER_SEED";
    private const int Stop = 19;
    private const int Continue = 18;
    private readonly Process _process;

    private MemberProcess(Process process) => _process = process;

    public static MemberProcess Start(string name, IPEndPoint seed)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment = { [NameVariable] = name, [SeedVariable] = seed.ToString() },
        };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(MemberProcess).Assembly.Location);
        return new MemberProcess(Process.Start(start)!);
    }

    /// <summary>kill -9.</summary>
    public void Kill() => _process.Kill();

    public void Freeze() => Signal(Stop);

    public void Thaw() => Signal(Continue);

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private void Signal(int signal)
    {
        if (Send(_process.Id, signal) != 0)
            throw new InvalidOperationException($"signal {signal} was not delivered to {_process.Id}");
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Send(int pid, int signal);

    /// <summary>Plays a member where the environment says so; false where this process is to run tests.</summary>
    public static async Task<bool> PlayIfToldAsync()
    {
        if (Environment.GetEnvironmentVariable(NameVariable) is not { } name)
            return false;
        string seed = Environment.GetEnvironmentVariable(SeedVariable)!;
        var options = new MembershipOptions { Name = name, Seeds = [seed], Bind = new IPEndPoint(IPAddress.Loopback, 0) };
        await using IMembership member = await MembershipService.StartAsync(
            options, new MemberMetadata(), TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
        await Console.In.ReadToEndAsync();
        return true;
    }
}
