using System.ComponentModel;
using Skein.EndToEnd.Support;

namespace Skein.Conformance.Clients;

/// <summary>
/// A client from NuGet at a version other than that which the tests reference: one process cannot have both. A small program, built once into a folder for
/// temporary files, uses it. Tests are skipped, with the reason, if it cannot be restored or built.
/// </summary>
/// <param name="package">Name of the package, and of the file in <c>Clients/NuGet</c> that uses it.</param>
/// <param name="version">Exact version.</param>
/// <param name="extensionsAi">Version of Microsoft.Extensions.AI; null: the program does not use it.</param>
internal sealed class NuGetProgram(string name, string package, string version, string? extensionsAi = null) : IClient
{
    private const string Silenced = "SKEXP0001;SKEXP0010;OPENAI001;MEAI001;NU1603;NU1902;NU1903";
    private static readonly TimeSpan BuildTimeout = TimeSpan.FromMinutes(3);
    private static readonly SemaphoreSlim Building = new(1, 1);

    /// <summary>Folders whose program is that of this run. Guarded by <see cref="Building"/>.</summary>
    private static readonly HashSet<string> Built = new(StringComparer.Ordinal);

    public string Name => name;

    public string Version => version;

    private string Folder { get; } = Path.Combine(Path.GetTempPath(), $"skein-nuget-{package}-{version}");

    private string Project =>
        $"""
         <Project Sdk="Microsoft.NET.Sdk">
           <PropertyGroup>
             <OutputType>Exe</OutputType>
             <TargetFramework>net10.0</TargetFramework>
             <ImplicitUsings>enable</ImplicitUsings>
             <Nullable>enable</Nullable>
             <NoWarn>$(NoWarn);{Silenced}</NoWarn>
           </PropertyGroup>
           <ItemGroup>
             <PackageReference Include="{package}" Version="{version}" />
             {(extensionsAi is null ? "" : $"""<PackageReference Include="Microsoft.Extensions.AI" Version="{extensionsAi}" />""")}
           </ItemGroup>
         </Project>
         """;

    public async Task InstallAsync()
    {
        await Building.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            if (Built.Contains(Folder))
                return;
            Directory.CreateDirectory(Folder);
            await File.WriteAllTextAsync(Path.Combine(Folder, "program.csproj"), Project);
            var sources = Path.Combine(AppContext.BaseDirectory, "Clients", "NuGet");
            foreach (var file in extensionsAi is null ? (string[])[package] : [package, "ChatClients"])
                File.Copy(Path.Combine(sources, $"{file}.cs"), Path.Combine(Folder, $"{file}.cs"), overwrite: true);
            await ProgramRun.ToEndAsync("dotnet", ["build", "--verbosity", "quiet", "--output", Path.Combine(Folder, "bin")], workingDirectory: Folder, within: BuildTimeout);
            Built.Add(Folder);
        }
        catch (Exception error) when (error is Win32Exception or InvalidOperationException or TimeoutException)
        {
            Assert.Skip($"needs the .NET SDK and the package {package} {version}: {error.Message}");
        }
        finally
        {
            Building.Release();
        }
    }

    /// <summary>Runs it to its end.</summary>
    /// <returns>What it printed.</returns>
    public async Task<string> RunAsync(params IEnumerable<string> arguments)
    {
        await InstallAsync();
        return await ProgramRun.ToEndAsync("dotnet", [Path.Combine(Folder, "bin", "program.dll"), .. arguments], within: TimeSpan.FromMinutes(1));
    }
}
