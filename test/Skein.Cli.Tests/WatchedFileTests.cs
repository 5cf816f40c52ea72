using Skein.Cli.Members;

namespace Skein.Cli.Tests;

public sealed class WatchedFileTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>Kubernetes mounts a file as a link through a link to a folder, and replaces only the latter: no change was seen.</summary>
    [Fact]
    public void WrittenAt_FolderOfALinkedFileIsReplaced_Changes()
    {
        var path = Path.Combine(_folder.FullName, "keys");
        Write("one", minutes: 1);
        Write("two", minutes: 2);
        var data = Path.Combine(_folder.FullName, "..data");
        Directory.CreateSymbolicLink(data, "one");
        File.CreateSymbolicLink(path, Path.Combine("..data", "keys"));
        var before = WatchedFile.WrittenAt(path);

        Directory.Delete(data);
        Directory.CreateSymbolicLink(data, "two");

        Assert.Equal((TimeOf(1), TimeOf(2)), (before, WatchedFile.WrittenAt(path)));
    }

    [Fact]
    public void WrittenAt_NoFile_IsTheDefault() => Assert.Equal(default, WatchedFile.WrittenAt(Path.Combine(_folder.FullName, "none", "file")));

    private static DateTime TimeOf(int minutes) => DateTime.UnixEpoch.AddYears(50).AddMinutes(minutes);

    private void Write(string folder, int minutes)
    {
        var file = Path.Combine(_folder.CreateSubdirectory(folder).FullName, "keys");
        File.WriteAllText(file, folder);
        File.SetLastWriteTimeUtc(file, TimeOf(minutes));
    }
}
