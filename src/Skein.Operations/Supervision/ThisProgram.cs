namespace Skein.Operations.Supervision;

/// <summary>How this same program is started again.</summary>
internal static class ThisProgram
{
    /// <summary>The command line, beginning with the program's path.</summary>
    public static IReadOnlyList<string> CommandLine(IEnumerable<string> arguments)
    {
        var host = Environment.ProcessPath ?? throw new InvalidOperationException("this process has no path");
        // Under `dotnet skein.dll` the program is an argument of the host.
        string[] program = Path.GetFileNameWithoutExtension(host) == "dotnet" ? [typeof(ThisProgram).Assembly.Location] : [];
        return [host, .. program, .. arguments];
    }
}
