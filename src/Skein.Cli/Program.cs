using Skein.Cli;

return await CommandLine.RunAsync(SkeinCommand.Create(), args, Console.Error);
