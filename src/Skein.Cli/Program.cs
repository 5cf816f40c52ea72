using Skein.Cli;
using Skein.Cli.Logs;
using Skein.Cli.Terminal;

Console.SetError(new TolerantWriter(Console.Error));
return await CommandLine.RunAsync(SkeinCommand.Create(), args, Console.Error);
