using System.Diagnostics;

namespace Skein.Operations.Supervision;

/// <summary>
/// One life of a member's process. Its standard input is a leash: when it closes, by our will or by our death, the member stops.
/// </summary>
internal sealed class SupervisedProcess : IDisposable
{
    /// <summary>How the line begins by which a process tells why it ends.</summary>
    private const string LastWords = "skein: ";

    private readonly Process _process;
    private readonly TaskCompletionSource<MemberReady> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<string> _lastErrors = new();

    private SupervisedProcess(Process process) => _process = process;

    public int Id => _process.Id;

    /// <summary>Completes when the member is up; fails when it exits before.</summary>
    public Task<MemberReady> Ready => _ready.Task;

    /// <summary>Is to be started again with this revision, by its own wish or ours; null: is not.</summary>
    public string? WantedRevision { get; private set; }

    /// <summary>Exit code; past 128: killed by signal (code - 128).</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>Last line of its standard error, nearly always the reason of its end.</summary>
    public string LastError
    {
        get
        {
            lock (_lastErrors)
                return _lastErrors.LastOrDefault() is not { } last ? "" : HasSaidWhy ? last[LastWords.Length..] : last;
        }
    }

    /// <summary>True when <see cref="LastError"/> is the reason, in the process's own words.</summary>
    public bool HasSaidWhy
    {
        get
        {
            lock (_lastErrors)
                return _lastErrors.LastOrDefault()?.StartsWith(LastWords, StringComparison.Ordinal) ?? false;
        }
    }

    /// <param name="arguments">Arguments of this same program.</param>
    /// <param name="onError">Gets each line of its standard error but its last words, which are <see cref="LastError"/>.</param>
    /// <exception cref="System.ComponentModel.Win32Exception">The system does not start it.</exception>
    public static SupervisedProcess Start(IEnumerable<string> arguments, Action<string> onError)
    {
        var command = ThisProgram.CommandLine(arguments);
        var start = new ProcessStartInfo(command[0], command.Skip(1));
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        start.UseShellExecute = false;
        var supervised = new SupervisedProcess(new Process { StartInfo = start, EnableRaisingEvents = true });
        supervised._process.OutputDataReceived += (_, line) => supervised.OnOutput(line.Data);
        supervised._process.ErrorDataReceived += (_, line) => supervised.OnError(line.Data, onError);
        try
        {
            supervised._process.Start();
        }
        catch
        {
            supervised.Dispose();
            throw;
        }
        supervised._process.BeginOutputReadLine();
        supervised._process.BeginErrorReadLine();
        return supervised;
    }

    /// <summary>Waits for the exit, and for the last lines it wrote.</summary>
    public async Task WaitForExitAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        _ready.TrySetException(new InvalidOperationException(LastError));
        _ = _ready.Task.Exception;
    }

    /// <summary>Lets go of the leash: the member drains and leaves.</summary>
    public void Stop()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It is gone already.
        }
    }

    /// <summary>Lets go of the leash, for a next life with this revision.</summary>
    public void StopForRestart(string revision)
    {
        WantedRevision = revision;
        Stop();
    }

    /// <summary>Ends it at once, stopped (SIGSTOP) or not.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has exited already.
        }
    }

    public void Dispose() => _process.Dispose();

    private void OnOutput(string? line)
    {
        if (line is null)
            return;
        if (MemberReady.FromLine(line) is { } ready)
            _ready.TrySetResult(ready);
        else if (RequestedRestart.FromLine(line) is { } wish)
            WantedRevision = wish.Revision;
    }

    private void OnError(string? line, Action<string> onError)
    {
        if (string.IsNullOrEmpty(line))
            return;
        lock (_lastErrors)
        {
            _lastErrors.Enqueue(line);
            if (_lastErrors.Count > 8)
                _lastErrors.Dequeue();
        }
        if (!line.StartsWith(LastWords, StringComparison.Ordinal))
            onError(line);
    }
}
