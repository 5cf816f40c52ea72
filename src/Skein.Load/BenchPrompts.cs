namespace Skein.Load;

/// <summary>Prompts for benchmarks: short, distinct and the same in every run.</summary>
public static class BenchPrompts
{
    private static readonly string[] Heroes =
        ["turtle", "clockmaker", "fox", "lighthouse keeper", "robot", "baker", "sparrow", "pirate", "giant", "witch"];

    private static readonly string[] Things =
        ["a red balloon", "a lost letter", "a silver key", "an old map", "a talking well", "a paper boat", "a jar of stars"];

    public static IReadOnlyList<string> Create(int count) => [.. Enumerable.Range(0, count).Select(Prompt)];

    private static string Prompt(int i)
    {
        var round = i / (Heroes.Length * Things.Length);
        var number = round == 0 ? "" : $" Number it {round}.";
        return $"Tell me a story about a {Heroes[i % Heroes.Length]} and {Things[i % Things.Length]}.{number}";
    }
}
