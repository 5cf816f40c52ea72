using System.Diagnostics;

namespace Skein.LinkBench;

/// <summary>This program in another role and a process of its own, so that its CPU time can be told apart. Ends when its standard input does.</summary>
internal sealed class RoleProcess : IDisposable
{
    private readonly Process _process;

    public RoleProcess(params string[] args)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, args)
        {
            UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true,
        };
        _process = Process.Start(start)!;
    }

    public TimeSpan Cpu
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    public async Task<string> ReadLineAsync(TimeSpan deadline)
    {
        using var late = new CancellationTokenSource(deadline, TimeProvider.System);
        return await _process.StandardOutput.ReadLineAsync(late.Token)
            ?? throw new InvalidOperationException($"process {_process.Id} ended");
    }

    public Task SendAsync(string line) => _process.StandardInput.WriteLineAsync(line);

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(5)))
            _process.Kill();
        _process.Dispose();
    }
}
