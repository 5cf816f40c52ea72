using System.Collections;
using Skein.Cli.Settings;

namespace Skein.Cli.Terminal;

/// <summary>Declares verbs and runs the command line: settings in, exit code out, every error as one line.</summary>
internal static class CommandLine
{
    public const int Success = 0;
    public const int Failure = 1;
    public const int BadInput = 2;

    private static readonly Option<string?> ConfigFile = new("--config")
    {
        Description = "JSON file with settings; flags and SKEIN_… variables override it", HelpName = "file",
    };

    /// <summary>Declares a verb whose settings come from flags, the environment and the configuration file.</summary>
    public static Command Verb(
        string name, string description, IReadOnlyList<ISetting> settings, Func<SettingSources, Task<int>> run, params IReadOnlyList<Argument> arguments)
    {
        settings = [.. settings, .. settings.Select(setting => setting.Former).OfType<ISetting>()];
        var verb = new SettingsVerb(name, description, settings);
        foreach (var setting in settings)
            verb.Options.Add(setting.Option);
        verb.Options.Add(ConfigFile);
        foreach (var argument in arguments)
            verb.Arguments.Add(argument);
        verb.SetAction((parsed, _) => run(new SettingSources(parsed, settings, Environment.GetEnvironmentVariables(), parsed.GetValue(ConfigFile))));
        return verb;
    }

    /// <param name="output">Takes help pages. Default (null): the standard output.</param>
    public static async Task<int> RunAsync(RootCommand root, string[] arguments, TextWriter error, TextWriter? output = null)
    {
        if (arguments is ["help", .. var topic])
            arguments = [.. topic, "--help"];
        var parsed = root.Parse(arguments);
        // A group of verbs without a verb, such as bare 'skein', shows its help.
        if (parsed.Errors.Count > 0 && parsed.UnmatchedTokens.Count == 0 && parsed.CommandResult.Command.Subcommands.Count > 0)
            parsed = root.Parse([.. arguments, "--help"]);
        // Who asks for help need not know the arguments.
        if (parsed.Errors.Count > 0 && parsed.Action is not GroupedHelp)
        {
            await error.WriteLineAsync($"skein: {Describe(parsed)} See '{PathOf(parsed)} --help'.");
            return BadInput;
        }
        // Members of 'skein up' inherit the environment of the supervisor, which has already warned.
        if (!arguments.Contains("--supervised"))
            await WarnOfMisspeltVariablesAsync(root, Environment.GetEnvironmentVariables(), error);
        try
        {
            var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            if (output is not null)
                invocation.Output = output;
            return await parsed.InvokeAsync(invocation);
        }
        catch (Exception failure) when (failure is UsageException or CommandFailedException or OperationCanceledException)
        {
            // Only a signal, or the end of the supervisor, cancels a whole run.
            await error.WriteLineAsync($"skein: {(failure is OperationCanceledException ? "stopped before it was ready" : failure.Message)}");
            return failure is UsageException ? BadInput : failure is CommandFailedException ? Failure : Success;
        }
    }

    /// <summary>Warns of variables that are not settings of any verb but differ from one by a typing error.</summary>
    internal static async Task WarnOfMisspeltVariablesAsync(RootCommand root, IDictionary environment, TextWriter error)
    {
        HashSet<string> known =
        [
            .. VerbsOf(root).SelectMany(verb => verb.Settings).Select(setting => setting.EnvironmentVariable), .. SecretVariables.All,
        ];
        foreach (var variable in environment.Keys.OfType<string>().Where(name => name.StartsWith(SettingSources.VariablePrefix, StringComparison.Ordinal)))
        {
            if (!known.Contains(variable) && Spelling.Closest(variable, known) is { } meant)
                await error.WriteLineAsync($"skein: the variable {variable} is not a setting and is ignored; did you mean {meant}?");
        }
    }

    private static string Describe(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        if (parsed.UnmatchedTokens is not [var word, ..])
            return parsed.Errors[0].Message;
        var isVerb = command.Subcommands.Count > 0;
        if (isVerb && word.StartsWith('-'))
            return $"a verb must come before '{word}'; allowed: {string.Join(", ", command.Subcommands.Select(verb => verb.Name))}.";
        IEnumerable<Symbol> candidates = isVerb ? command.Subcommands : command.Options.Where(option => !option.Hidden);
        var hint = Spelling.Closest(word, candidates.Select(candidate => candidate.Name)) is { } meant ? $" Did you mean '{meant}'?" : "";
        return isVerb ? $"'{word}' is not a verb.{hint}" : $"{parsed.Errors[0].Message}{hint}";
    }

    internal static string PathOf(ParseResult parsed)
    {
        var names = new List<string>();
        for (var result = parsed.CommandResult; result.Command is not RootCommand; result = (System.CommandLine.Parsing.CommandResult)result.Parent!)
            names.Insert(0, result.Command.Name);
        return string.Join(' ', names.Prepend("skein"));
    }

    private static IEnumerable<SettingsVerb> VerbsOf(Command command) =>
        command.Subcommands.SelectMany(VerbsOf).Concat(command is SettingsVerb verb ? [verb] : []);

    private sealed class SettingsVerb(string name, string description, IReadOnlyList<ISetting> settings) : Command(name, description)
    {
        public IReadOnlyList<ISetting> Settings { get; } = settings;
    }
}
