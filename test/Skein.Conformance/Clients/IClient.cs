namespace Skein.Conformance.Clients;

/// <summary>A client of others, at one version.</summary>
internal interface IClient
{
    string Name { get; }

    string Version { get; }

    /// <summary>Makes it usable. Skips the test, with the reason, if it cannot be had.</summary>
    Task InstallAsync();
}

/// <summary>A client that is built into the tests.</summary>
internal sealed record NuGetPackage(string Name, string Version) : IClient
{
    /// <summary>The package of this type, at the version that the tests were built with.</summary>
    public static NuGetPackage Of(string name, Type type) => new(name, type.Assembly.GetName().Version!.ToString(3));

    public Task InstallAsync() => Task.CompletedTask;
}
