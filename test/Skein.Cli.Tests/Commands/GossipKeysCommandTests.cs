using Skein.Cli.Terminal;
using Skein.Cli.Members;
using Skein.Membership;

namespace Skein.Cli.Tests.Commands;

/// <summary>Creates, rotates and removes keys with the commands of the documentation.</summary>
public sealed class GossipKeysCommandTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory();

    private string Path => System.IO.Path.Combine(_directory.FullName, "keys");

    private GossipKeys Keys => new GossipKeyFile(Path).Read();

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task New_FileIsNotThere_HasOneKeyThatNobodyElseMayRead()
    {
        Assert.Equal("", await RunAsync("new", Path));

        Assert.Single(Keys.Ids);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path));
    }

    [Fact]
    public async Task New_FileIsThere_IsRefusedAndTheFileStays()
    {
        await RunAsync("new", Path);
        var id = Assert.Single(Keys.Ids);

        Assert.StartsWith($"skein: {Path} exists; allowed:", await RunAsync("new", Path), StringComparison.Ordinal);

        Assert.Equal([id], Keys.Ids);
    }

    /// <summary>The message named a flag of other commands.</summary>
    [Fact]
    public async Task List_FileWithoutKeys_IsRefusedAndNamesTheFileOnly()
    {
        await File.WriteAllTextAsync(Path, "", TestContext.Current.CancellationToken);
        Assert.StartsWith($"skein: key file {Path}: it has no key", await RunAsync("list", Path), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AddUseRemove_TurnsTheKeysOver_OneStepAtATime()
    {
        await RunAsync("new", Path);
        var old = Assert.Single(Keys.Ids);

        await RunAsync("add", Path);
        var next = Keys.Ids[1];
        Assert.NotEqual(old, next);
        Assert.Equal([old, next], Keys.Ids);

        await RunAsync("use", Path, next);
        Assert.Equal([next, old], Keys.Ids);

        await RunAsync("remove", Path, old);
        Assert.Equal([next], Keys.Ids);
    }

    [Fact]
    public async Task Remove_LastKeyOrOneThatIsNotThere_IsRefusedAndNamesWhatIsAllowed()
    {
        await RunAsync("new", Path);
        var id = Assert.Single(Keys.Ids);

        Assert.Contains("would have no key left; allowed: at least one", await RunAsync("remove", Path, id), StringComparison.Ordinal);
        Assert.Contains($"key 'ffffffff' is not in {Path}; allowed: {id}", await RunAsync("remove", Path, "ffffffff"), StringComparison.Ordinal);

        Assert.Equal([id], Keys.Ids);
    }

    /// <summary>Returns the message on standard error.</summary>
    private static async Task<string> RunAsync(params string[] arguments)
    {
        using var error = new StringWriter();
        var exitCode = await CommandLine.RunAsync(SkeinCommand.Create(), ["gossip-keys", .. arguments], error);
        Assert.Equal(error.ToString().Length == 0, exitCode == 0);
        return error.ToString();
    }
}
