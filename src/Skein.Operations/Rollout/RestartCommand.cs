using System.ComponentModel;
using System.Diagnostics;

namespace Skein.Operations.Rollout;

/// <summary>Runs an operator's command for one replica.</summary>
/// <param name="template">The command.</param>
/// <param name="revision">Put in for <c>{revision}</c>.</param>
/// <param name="timeout">Longest run; past it the command and its children are killed.</param>
/// <param name="say">Gets each line the command writes.</param>
/// <param name="time">Time.</param>
public sealed class RestartCommand(CommandTemplate template, string revision, TimeSpan timeout, Action<string> say, TimeProvider time)
{
    private static readonly TimeSpan LastLines = TimeSpan.FromMilliseconds(500);

    /// <exception cref="CommandFailedException">It could not be started, ended with another code than 0, or took too long.</exception>
    public async Task RunAsync(string name, CancellationToken cancellationToken)
    {
        var words = template.For(name, revision);
        var start = new ProcessStartInfo(words[0], words.Skip(1)) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        var exit = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        process.Exited += (_, _) => exit.TrySetResult();
        var last = "";
        void OnLine(object sender, DataReceivedEventArgs line)
        {
            if (string.IsNullOrWhiteSpace(line.Data))
                return;
            Volatile.Write(ref last, line.Data.Trim());
            say($"{name} | {line.Data}");
        }
        process.OutputDataReceived += OnLine;
        process.ErrorDataReceived += OnLine;
        try
        {
            process.Start();
        }
        catch (Win32Exception error)
        {
            throw new CommandFailedException($"'{words[0]}' could not be started: {error.Message}", error);
        }
        // It asks nobody anything.
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var patience = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            await exit.Task.WaitAsync(either.Token);
        }
        catch (OperationCanceledException error)
        {
            process.Kill(entireProcessTree: true);
            if (cancellationToken.IsCancellationRequested)
                throw;
            throw new CommandFailedException($"'{words[0]}' did not end within {timeout.TotalSeconds:0.#} s and was killed", error);
        }
        await LastLinesAsync(process);
        if (process.ExitCode != 0)
            throw new CommandFailedException($"'{words[0]}' ended with code {process.ExitCode}{(last.Length > 0 ? $": {last}" : "")}");
    }

    /// <summary>What it left running in the background may hold its output open for ever: the exit is what counts.</summary>
    private async Task LastLinesAsync(Process process)
    {
        using var patience = new CancellationTokenSource(LastLines, time);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            // As said.
        }
    }
}
