using System.Reflection;

namespace Skein.Operations.Supervision;

internal static class ThisProgram
{
    /// <summary>The program's path, followed by the arguments.</summary>
    public static IReadOnlyList<string> CommandLine(IEnumerable<string> arguments)
    {
        var host = Environment.ProcessPath ?? throw new InvalidOperationException("the path of this process is not known");
        // Under `dotnet skein.dll` the process is the host, and the program is its first argument. A published program is its own host.
        string[] program = Path.GetFileNameWithoutExtension(host) == "dotnet"
            ? [Path.Combine(AppContext.BaseDirectory, $"{Assembly.GetEntryAssembly()!.GetName().Name}.dll")]
            : [];
        return [host, .. program, .. arguments];
    }
}
