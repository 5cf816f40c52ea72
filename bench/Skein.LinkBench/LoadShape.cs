namespace Skein.LinkBench;

/// <summary>A load: so many streams open at a time, made of attempts of so many tokens.</summary>
/// <param name="Name">In the table, and on the command line.</param>
/// <param name="Streams">Attempts that run at the same time.</param>
/// <param name="Model">Tells the bench engine how to pace, see <see cref="PacedEngine"/>.</param>
/// <param name="Tokens">Of each attempt; it is followed by the next one at once.</param>
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
