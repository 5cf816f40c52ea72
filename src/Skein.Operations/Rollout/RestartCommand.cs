using Skein.Operations.Commands;

namespace Skein.Operations.Rollout;

/// <summary>Runs an operator's command for one replica.</summary>
/// <param name="timeout">Limit of a run. When it expires the command and its children are killed.</param>
/// <param name="say">Receives each line that the command writes.</param>
public sealed class RestartCommand(CommandTemplate template, string revision, TimeSpan timeout, Action<string> say, TimeProvider time)
{
    private readonly OperatorCommand _command = new(timeout, say, time);

    /// <exception cref="CommandFailedException">The command could not be started, exited with a code other than 0, or timed out.</exception>
    public Task RunAsync(string name, CancellationToken cancellationToken) => _command.RunAsync(template.For(name, revision), name, cancellationToken);
}
