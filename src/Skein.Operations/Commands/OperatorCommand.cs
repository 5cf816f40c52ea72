using System.ComponentModel;
using System.Diagnostics;

namespace Skein.Operations.Commands;

/// <summary>Runs an operator's command to its end.</summary>
/// <param name="timeout">Limit of a run. When it expires the command and its children are killed.</param>
/// <param name="say">Receives each line that the command writes.</param>
internal sealed class OperatorCommand(TimeSpan timeout, Action<string> say, TimeProvider time)
{
    private static readonly TimeSpan OutputTimeout = TimeSpan.FromMilliseconds(500);

    /// <param name="words">The program and its arguments.</param>
    /// <param name="subject">What it is run for: the beginning of each line.</param>
    /// <param name="cancellationToken">Kills the command.</param>
    /// <exception cref="CommandFailedException">The command could not be started, exited with a code other than 0, or timed out.</exception>
    public async Task RunAsync(IReadOnlyList<string> words, string subject, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(words[0], words.Skip(1)) { UseShellExecute = false };
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        var exit = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        process.Exited += (_, _) => exit.TrySetResult();
        var last = "";
        void OnLine(object sender, DataReceivedEventArgs line)
        {
            if (string.IsNullOrWhiteSpace(line.Data))
                return;
            Volatile.Write(ref last, line.Data.Trim());
            say($"{subject} | {line.Data}");
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
        // A command that prompts for input must not wait indefinitely.
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var deadline = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
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
        // A background child may keep the output open, so the wait for the last lines is limited.
        using var outputEnd = new CancellationTokenSource(OutputTimeout, time);
        await process.WaitForExitAsync(outputEnd.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (process.ExitCode != 0)
            throw new CommandFailedException($"'{words[0]}' ended with code {process.ExitCode}{(last.Length > 0 ? $": {last}" : "")}");
    }
}
