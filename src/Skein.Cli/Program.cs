using Skein.Cli;
using Skein.Cli.Terminal;

return await CommandLine.RunAsync(SkeinCommand.Create(), args, Console.Error);
