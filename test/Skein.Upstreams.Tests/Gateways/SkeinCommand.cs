using System.Diagnostics;
using System.Text;

namespace Skein.Upstreams.Tests.Gateways;

/// <summary>The built <c>skein</c> as a process. It and its children end when this is disposed.</summary>
internal sealed class SkeinCommand : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Lock _gate = new();
    private readonly StringBuilder _output = new();
    private readonly List<(string Text, TaskCompletionSource<string> Seen)> _awaited = [];

    private SkeinCommand(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Add(line.Data);
        _process.ErrorDataReceived += (_, line) => Add(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Both outputs so far.</summary>
    public string Output
    {
        get
        {
            lock (_gate)
                return _output.ToString();
        }
    }

    public static SkeinCommand Start(params string[] arguments) => Start(new Dictionary<string, string?>(), arguments);

    /// <param name="environment">Variables beside those of this process.</param>
    public static SkeinCommand Start(IReadOnlyDictionary<string, string?> environment, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "skein.dll"), .. arguments])
        {
            WorkingDirectory = Path.GetTempPath(), UseShellExecute = false,
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return new SkeinCommand(start);
    }

    /// <summary>Waits for a line with a text. Fails when the process ends before, or after 30 s.</summary>
    public async Task<string> LineAsync(string text)
    {
        var seen = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_output.ToString().Split('\n').FirstOrDefault(line => line.Contains(text, StringComparison.Ordinal)) is { } line)
                return line;
            _awaited.Add((text, seen));
        }
        var ended = _process.WaitForExitAsync(TestContext.Current.CancellationToken);
        var limit = Task.Delay(TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken);
        await Task.WhenAny(seen.Task, ended, limit);
        Assert.True(seen.Task.IsCompletedSuccessfully, $"{(ended.IsCompleted ? "ended" : "30 s went by")} without a line with '{text}':\n{Output}");
        return await seen.Task;
    }

    /// <summary>Waits for its end and its last lines.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> EndAsync(int seconds)
    {
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken)
            .WaitAsync(TimeSpan.FromSeconds(seconds), TimeProvider.System, TestContext.Current.CancellationToken);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
    }

    private void Add(string? line)
    {
        if (line is null)
            return;
        lock (_gate)
        {
            _output.Append(line).Append('\n');
            foreach (var (text, seen) in _awaited)
            {
                if (line.Contains(text, StringComparison.Ordinal))
                    seen.TrySetResult(line);
            }
        }
    }
}
