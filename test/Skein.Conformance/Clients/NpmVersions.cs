namespace Skein.Conformance.Clients;

/// <summary>A client from npm in the versions that people use. The short form of the tests has the newest one only.</summary>
/// <param name="newestFirst">At least one.</param>
internal sealed class NpmVersions(params IReadOnlyList<NpmPackage> newestFirst)
{
    public NpmPackage Newest => newestFirst[0];

    /// <summary>The versions, newest first: data of theories.</summary>
    public IEnumerable<string> Names => newestFirst.Select(package => package.Version);

    public NpmPackage this[string version] => newestFirst.Single(package => package.Version == version);

    /// <summary>The package of a version. Skips the test if the form has it not.</summary>
    public NpmPackage Asked(string version)
    {
        Assert.SkipUnless(version == Newest.Version || Form.IsLong, Form.SkipMessage);
        return this[version];
    }

    /// <summary>All versions, each with all values: rows of theories.</summary>
    public TheoryData<string, T> With<T>(params IReadOnlyList<T> values)
    {
        var rows = new TheoryData<string, T>();
        foreach (var version in Names)
        {
            foreach (var value in values)
                rows.Add(version, value);
        }
        return rows;
    }
}
