namespace Skein.Architecture.Tests;

/// <summary>Lines fit beside a second file on a screen.</summary>
public sealed class LineLengthTests
{
    private const int MaxLength = 160;

    [Fact]
    public void EveryLine_HasAtMost160Characters()
    {
        var longLines = from file in SourceTree.CodeIn("src").Concat(SourceTree.CodeIn("bench"))
                        from line in File.ReadLines(file).Index()
                        where line.Item.Length > MaxLength
                        select $"{SourceTree.Relative(file)}:{line.Index + 1}: {line.Item.Length}";
        SourceTree.AssertNone(longLines);
    }
}
