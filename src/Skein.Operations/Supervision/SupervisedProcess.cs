using System.Diagnostics;

namespace Skein.Operations.Supervision;

/// <summary>
/// One run of a member's process. The member stops when its standard input closes: because this object closes it, or because the supervisor died.
/// </summary>
internal sealed class SupervisedProcess : IDisposable
{
    /// <summary>Prefix of the line by which a process reports why it ends.</summary>
    private const string ReasonPrefix = "skein: ";

    private readonly Process _process;
    private volatile string _lastLine = "";

    private SupervisedProcess(Process process) => _process = process;

    public int Id => _process.Id;

    /// <summary>Revision of the restart that the member or the supervisor requested; null if none was requested.</summary>
    public string? RequestedRevision { get; private set; }

    /// <summary>Above 128: killed by signal (code - 128).</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>Last line of standard error, which is usually the reason of the exit.</summary>
    public string FinalMessage => HasReason ? _lastLine[ReasonPrefix.Length..] : _lastLine;

    /// <summary>True if <see cref="FinalMessage"/> is the reason that the process itself reported.</summary>
    public bool HasReason => _lastLine.StartsWith(ReasonPrefix, StringComparison.Ordinal);

    /// <param name="onError">Receives each line of standard error except the reported reason, which is <see cref="FinalMessage"/>.</param>
    public static SupervisedProcess Start(IEnumerable<string> arguments, Action<SupervisedProcess, MemberReady> onReady, Action<string> onError)
    {
        var command = ThisProgram.CommandLine(arguments);
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { UseShellExecute = false };
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        var supervised = new SupervisedProcess(new Process { StartInfo = start, EnableRaisingEvents = true });
        supervised._process.OutputDataReceived += (_, line) => supervised.OnOutput(line.Data, onReady);
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

    /// <summary>Waits for the exit and for the last lines of output.</summary>
    public Task WaitForExitAsync() => _process.WaitForExitAsync(CancellationToken.None);

    /// <summary>Closes standard input: the member drains and leaves.</summary>
    public void Stop()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The process has exited.
        }
    }

    public void StopForRestart(string revision)
    {
        RequestedRevision = revision;
        Stop();
    }

    /// <summary>Kills the process and its children, even if it is frozen (SIGSTOP).</summary>
    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // The process has exited.
        }
    }

    public void Dispose() => _process.Dispose();

    private void OnOutput(string? line, Action<SupervisedProcess, MemberReady> onReady)
    {
        if (line is null)
            return;
        if (MemberReady.FromLine(line) is { } ready)
            onReady(this, ready);
        else if (RequestedRestart.FromLine(line) is { } request)
            RequestedRevision = request.Revision;
    }

    private void OnError(string? line, Action<string> onError)
    {
        if (string.IsNullOrEmpty(line))
            return;
        _lastLine = line;
        if (!line.StartsWith(ReasonPrefix, StringComparison.Ordinal))
            onError(line);
    }
}
