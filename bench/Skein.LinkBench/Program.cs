using Skein.LinkBench;

switch (args)
{
    case ["replica"]:
        return await ReplicaRole.RunAsync();
    case ["json"]:
        return JsonComparison.Run();
    case ["gateway", var link, var address]:
        return await GatewayRole.RunAsync(link, address);
    default:
        if (ComparisonOptions.TryParse(args, out var options, out var error))
            return await Comparison.RunAsync(options);
        await Console.Error.WriteLineAsync(error);
        return 2;
}
