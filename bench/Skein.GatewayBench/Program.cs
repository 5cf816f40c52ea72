using System.CommandLine;
using System.Globalization;
using Skein.GatewayBench;
using Skein.GatewayBench.Processes;

if (args is [ScriptedServer.Role])
    return await ScriptedServer.RunAsync();
if (args is [YarpProxy.Role, var port, var upstream])
    return await YarpProxy.RunAsync(int.Parse(port, CultureInfo.InvariantCulture), upstream);

var before = new Argument<string>("before")
{
    Description = "Directory of the skein program to compare with, or yarp, or the haproxy program (upstream loads)",
};
var after = new Argument<string>("after") { Description = "Directory of the skein program to judge" };
var loads = new Option<string[]>("--load")
{
    Description = $"Loads to run: {string.Join(", ", Load.All.Select(load => load.Name))} [default: all]",
    AllowMultipleArgumentsPerToken = true,
    HelpName = "name",
};
var pairs = new Option<int>("--pairs") { Description = "Measured pairs per load, 1 to 1000", DefaultValueFactory = _ => 15, HelpName = "n" };
var rounds = new Option<int?>("--rounds") { Description = "Times that all processes are started anew, 1 to --pairs [default: 3]", HelpName = "n" };
var seconds = new Option<double>("--seconds")
{
    Description = "Approximate length of one measurement, 0.2 to 60", DefaultValueFactory = _ => 2, HelpName = "s",
};
var jit = new Option<JitMode>("--jit")
{
    Description = "full: all code optimized at its first use, which makes figures repeat; tiered: the runtime's defaults, as the program ships",
    DefaultValueFactory = _ => JitMode.Full,
    HelpName = "full|tiered",
};
var json = new Option<bool>("--json") { Description = "Print one JSON document instead of a table" };

before.Validators.Add(result => RequireProgram(result.GetValue(before)!, result.AddError));
after.Validators.Add(result => RequireProgram(result.GetValue(after)!, result.AddError));
loads.Validators.Add(result =>
{
    foreach (var unknown in result.GetValue(loads)!.Where(name => Load.Find(name) is null))
        result.AddError($"--load '{unknown}' is unknown; allowed: {string.Join(", ", Load.All.Select(load => load.Name))}");
});
pairs.Validators.Add(result =>
{
    if (result.GetValue(pairs) is < 1 or > 1000)
        result.AddError($"--pairs is {result.GetValue(pairs)}; allowed: 1 to 1000");
});
rounds.Validators.Add(result =>
{
    if (result.GetValue(rounds) < 1 || result.GetValue(rounds) > result.GetValue(pairs))
        result.AddError($"--rounds is {result.GetValue(rounds)}; allowed: 1 to --pairs");
});
seconds.Validators.Add(result =>
{
    if (result.GetValue(seconds) is not (>= 0.2 and <= 60))
        result.AddError($"--seconds is {result.GetValue(seconds)}; allowed: 0.2 to 60");
});

var command = new RootCommand("Compares the CPU time that the gateways of two builds of Skein use for the same load")
{
    before, after, loads, pairs, rounds, seconds, jit, json,
};
command.SetAction(async (parsed, cancellationToken) =>
{
    var names = parsed.GetValue(loads)!;
    var isProxy = Build.IsProxy(parsed.GetValue(before)!) || Build.IsProxy(parsed.GetValue(after)!);
    var possible = Load.All.Where(load => !isProxy || load.Setup == SetupKind.Upstream);
    Load[] selected = [.. possible.Where(load => names.Length == 0 || names.Contains(load.Name, StringComparer.Ordinal))];
    var options = new ComparisonOptions(
        parsed.GetValue(before)!,
        parsed.GetValue(after)!,
        parsed.GetValue(pairs),
        parsed.GetValue(rounds) ?? Math.Min(3, parsed.GetValue(pairs)),
        TimeSpan.FromSeconds(parsed.GetValue(seconds)),
        parsed.GetValue(jit));
    await new Comparison(options, cancellationToken).RunAsync(selected, parsed.GetValue(json) ? Report.Json() : Report.Table());
    return 0;
});
return await command.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(30) });

static void RequireProgram(string path, Action<string> addError)
{
    if (!Build.IsProxy(path) && !File.Exists(MemberProcess.ProgramIn(path)))
        addError($"'{path}' holds no skein program; allowed: the output directory of a build of src/Skein.Cli, yarp, or the haproxy program");
}
