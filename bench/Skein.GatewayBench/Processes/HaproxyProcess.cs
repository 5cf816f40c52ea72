using System.Diagnostics;

namespace Skein.GatewayBench.Processes;

/// <summary>HAProxy in front of the scripted server: what forwarding alone costs. Its configuration is a temporary file.</summary>
internal sealed class HaproxyProcess : IGatewayProcess
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"gateway-bench-{Guid.NewGuid():N}.cfg");
    private readonly Process _process;

    public HaproxyProcess(string program, int port, Uri upstream)
    {
        File.WriteAllText(_file, $"""
            global
                maxconn 4096
            defaults
                mode http
                option http-no-delay
                timeout connect 5s
                timeout client 5m
                timeout server 5m
            frontend front
                bind 127.0.0.1:{port}
                default_backend back
            backend back
                http-reuse always
                server upstream {upstream.Host}:{upstream.Port}

            """);
        _process = Process.Start(new ProcessStartInfo(program, ["-db", "-f", _file]) { UseShellExecute = false })!;
        Cpu = new ProcessCpuClock(_process.Id);
    }

    public ProcessCpuClock Cpu { get; }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        File.Delete(_file);
    }
}
