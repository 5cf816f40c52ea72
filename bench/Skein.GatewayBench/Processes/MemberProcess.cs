using System.Diagnostics;

namespace Skein.GatewayBench.Processes;

/// <summary>A process under test.</summary>
internal interface IGatewayProcess : IDisposable
{
    ProcessCpuClock Cpu { get; }
}

/// <summary>A child process that ends when its standard input does, also when this program is killed.</summary>
internal sealed class MemberProcess : IGatewayProcess
{
    private const int MostErrorLines = 20;
    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromSeconds(180);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(10);

    private readonly Process _process;
    private readonly Queue<string> _errors = new();
    private readonly TaskCompletionSource<string?> _firstLine = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public MemberProcess(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        // Settings of the caller's environment are not part of the comparison.
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("SKEIN_", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(name);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => _firstLine.TrySetResult(line.Data);
        _process.ErrorDataReceived += (_, line) => OnError(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        Cpu = new ProcessCpuClock(_process.Id);
    }

    public ProcessCpuClock Cpu { get; }

    /// <summary>The skein program of a build, in the output directory of a build or of a publish.</summary>
    public static string ProgramIn(string directory) => Path.Combine(directory, "skein");

    /// <returns>The first line of standard output: what a member or the scripted server prints when it is ready.</returns>
    /// <exception cref="InvalidOperationException">The process ended, or printed nothing within 180 s.</exception>
    public async Task<string> ReadyAsync(CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(ReadyTimeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            if (await _firstLine.Task.WaitAsync(either.Token) is { } line)
                return line;
            // Waits for the last lines of standard error too.
            await _process.WaitForExitAsync(either.Token);
            throw new InvalidOperationException($"{Describe()} ended: {Errors()}");
        }
        catch (OperationCanceledException late) when (deadline.IsCancellationRequested)
        {
            throw new InvalidOperationException($"{Describe()} is not ready after {ReadyTimeout.TotalSeconds} s: {Errors()}", late);
        }
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(StopTimeout))
            _process.Kill();
        _process.Dispose();
    }

    private void OnError(string? line)
    {
        if (line is null)
            return;
        lock (_errors)
        {
            _errors.Enqueue(line);
            if (_errors.Count > MostErrorLines)
                _errors.Dequeue();
        }
    }

    private string Describe() => $"'{_process.StartInfo.FileName} {string.Join(' ', _process.StartInfo.ArgumentList)}'";

    private string Errors()
    {
        lock (_errors)
            return string.Concat(_errors.Select(line => $"{line}\n"));
    }
}
