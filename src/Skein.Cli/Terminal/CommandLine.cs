using System.Collections;
using System.CommandLine;
using Skein.Cli.Settings;

namespace Skein.Cli.Terminal;

/// <summary>How every verb is declared and run: settings in, exit code out, errors as one line.</summary>
internal static class CommandLine
{
    /// <summary>The run succeeded.</summary>
    public const int Success = 0;

    /// <summary>What was asked for could not be done.</summary>
    public const int Failure = 1;

    /// <summary>The input is wrong.</summary>
    public const int BadInput = 2;

    private static readonly Option<string?> ConfigFile = new("--config") { Description = "JSON file with settings; flags and SKEIN_… variables win over it", HelpName = "file" };

    /// <summary>Declares a verb whose settings come from flags, environment and file.</summary>
    public static Command Verb(string name, string description, IReadOnlyList<ISetting> settings, Func<SettingSources, Task<int>> run)
    {
        var command = new Command(name, description);
        foreach (var setting in settings)
            command.Options.Add(setting.Option);
        command.Options.Add(ConfigFile);
        command.SetAction((parsed, _) =>
        {
            var sources = new SettingSources(parsed, Environment.GetEnvironmentVariables(), parsed.GetValue(ConfigFile));
            sources.CheckKeys(settings);
            return run(sources);
        });
        return command;
    }

    /// <summary>Parses and runs.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(RootCommand root, string[] arguments, TextWriter error)
    {
        var parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            var verb = parsed.CommandResult.Command is RootCommand ? "skein" : $"skein {parsed.CommandResult.Command.Name}";
            await error.WriteLineAsync($"skein: {parsed.Errors[0].Message} See '{verb} --help'.");
            return BadInput;
        }
        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (UsageException wrong)
        {
            await error.WriteLineAsync($"skein: {wrong.Message}");
            return BadInput;
        }
        catch (OperationCanceledException)
        {
            // Only the user's signal, or the end of the supervisor, cancels a whole run.
            await error.WriteLineAsync("skein: stopped before it was up");
            return Success;
        }
        catch (CommandFailedException failed)
        {
            await error.WriteLineAsync($"skein: {failed.Message}");
            return Failure;
        }
    }
}
