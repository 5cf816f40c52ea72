namespace Skein.LinkBench;

/// <summary>A load: a number of concurrent streams, each of which runs one attempt after the other.</summary>
/// <param name="Name">Name in the table and on the command line.</param>
/// <param name="Streams">Attempts that run at the same time.</param>
/// <param name="Model">Model that is asked for; selects the pace of <see cref="PacedEngine"/>.</param>
/// <param name="Tokens">Tokens of each attempt.</param>
internal sealed record LoadShape(string Name, int Streams, string Model, uint Tokens)
{
    public static IReadOnlyList<LoadShape> All { get; } =
    [
        new("paced500", 500, PacedEngine.Paced, uint.MaxValue),
        new("ticked200", 200, PacedEngine.Ticked, uint.MaxValue),
        new("ticked500", 500, PacedEngine.Ticked, uint.MaxValue),
        new("requests", 64, PacedEngine.AtOnce, 1),
    ];

    public static LoadShape? Find(string name) => All.FirstOrDefault(shape => string.Equals(shape.Name, name, StringComparison.Ordinal));
}
