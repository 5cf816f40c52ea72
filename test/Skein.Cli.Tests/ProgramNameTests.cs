using Skein.Cli.Terminal;

namespace Skein.Cli.Tests;

public sealed class ProgramNameTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>The banner of 'skein up' showed commands that no shell found.</summary>
    [Fact]
    public void Of_ProgramThatIsNotOnThePath_IsItsPath()
    {
        var program = Path.Combine(_folder.CreateSubdirectory("bin").FullName, "skein");
        Assert.Equal("skein", ProgramName.Of("/no/such/folder", program, _folder.FullName));

        File.WriteAllText(program, "");

        Assert.Equal(Path.Combine(".", "bin", "skein"), ProgramName.Of("/no/such/folder", program, _folder.FullName));
        Assert.Equal(program, ProgramName.Of("/no/such/folder", program, "/usr"));
        Assert.Equal("skein", ProgramName.Of($"/no/such/folder:{_folder.FullName}/bin", program, "/usr"));
    }
}
