using Skein.Cli.Members;
using Skein.Cli.Terminal;

namespace Skein.Cli.Tests;

/// <summary>Files with secrets that a command changes while a member reads them, perhaps as another user.</summary>
public sealed class PrivateFileTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory();

    private string Path => System.IO.Path.Combine(_directory.FullName, "keys.json");

    public void Dispose() => _directory.Delete(recursive: true);

    /// <summary>After root had revoked a key, the gateway could not read the file: the key stayed valid, and the gateway could not be started again.</summary>
    [Fact]
    public void Write_FileOfAnotherUser_StaysItsFile()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root on Linux: it gives a file to another user");
        if (OperatingSystem.IsWindows())
            return;
        PrivateFile.Write(Path, ["a"]);
        var nobody = new FileOwner(65_534, 65_534);
        nobody.Give(Path);
        File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);

        PrivateFile.Write(Path, ["b"]);

        Assert.Equal("b\n", File.ReadAllText(Path));
        Assert.Equal(nobody, FileOwner.Of(Path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(Path));
    }

    [Fact]
    public void Write_Link_ChangesItsTarget()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs links without a privilege");
        var target = System.IO.Path.Combine(_directory.FullName, "target");
        File.WriteAllText(target, "a");
        File.CreateSymbolicLink(Path, target);

        PrivateFile.Write(Path, ["b"]);

        Assert.Equal("b\n", File.ReadAllText(target));
        Assert.NotNull(new FileInfo(Path).LinkTarget);
        Assert.Equal(["keys.json", "target"], _directory.GetFiles().Select(file => file.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Write_FolderIsMissing_IsToldInOneLineAndLeavesNothing()
    {
        var failed = Assert.Throws<CommandFailedException>(() => PrivateFile.Write(System.IO.Path.Combine(_directory.FullName, "no", "keys"), ["a"]));

        Assert.Contains(" cannot be written: ", failed.Message, StringComparison.Ordinal);
        Assert.Empty(_directory.GetFiles());
    }

    /// <summary>Of eight keys that were made at once, two were in the file.</summary>
    [Fact]
    public async Task ApiKeysNew_ManyAtOnce_AllAreInTheFile()
    {
        var codes = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(
            () => CommandLine.RunAsync(SkeinCommand.Create(), ["api-keys", "new", Path, "--name", $"k{i}"], TextWriter.Null), TestContext.Current.CancellationToken)));

        Assert.All(codes, code => Assert.Equal(0, code));
        Assert.Equal(8, new ApiKeyFile(Path, "key file").Read().Keys.Count);
    }
}
