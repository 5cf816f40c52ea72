using System.Runtime.CompilerServices;

namespace Skein.Testing;

/// <summary>
/// The runtime of processes that tests start: methods are optimized after 512 calls instead of 30, and without a profile. Such a process lives for seconds, and
/// a third of its CPU time would be the compiler's. What a test sets itself, and the caller's environment, come first.
/// </summary>
internal static class TestRuntime
{
    // The runtime reads the number as hexadecimal.
    private static readonly (string Name, string Value)[] Settings = [("DOTNET_TieredPGO", "0"), ("DOTNET_TC_CallCountThreshold", "200")];

    [ModuleInitializer]
    internal static void SetForChildren()
    {
        foreach (var (name, value) in Settings)
        {
            if (Environment.GetEnvironmentVariable(name) is null)
                Environment.SetEnvironmentVariable(name, value);
        }
    }
}
