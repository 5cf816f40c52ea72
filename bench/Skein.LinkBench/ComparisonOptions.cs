using System.Diagnostics.CodeAnalysis;

namespace Skein.LinkBench;

/// <summary>Options of a comparison.</summary>
/// <param name="Shapes">Load shapes, in the order in which they run.</param>
/// <param name="Pairs">Runs per link and shape, 1 to 100; the figures are medians over them.</param>
/// <param name="Seconds">Length of a run, 1 to 100, without the second before it in which the streams start.</param>
/// <param name="Replicas">Replica processes, 1 to 100; the streams are spread over them.</param>
internal sealed record ComparisonOptions(IReadOnlyList<LoadShape> Shapes, int Pairs = 5, int Seconds = 4, int Replicas = 1)
{
    private const string Usage = "usage: Skein.LinkBench [shape ...] [--pairs N] [--seconds N] [--replicas N]";

    public static bool TryParse(string[] args, [NotNullWhen(true)] out ComparisonOptions? options, [NotNullWhen(false)] out string? error)
    {
        (options, error) = (null, null);
        var shapes = new List<LoadShape>();
        var result = new ComparisonOptions(LoadShape.All);
        for (var i = 0; i < args.Length && error is null; i++)
        {
            if (LoadShape.Find(args[i]) is { } shape)
                shapes.Add(shape);
            else if (i + 1 < args.Length && int.TryParse(args[i + 1], out var number) && number is >= 1 and <= 100 && With(result, args[i], number) is { } next)
                (result, i) = (next, i + 1);
            else
            {
                var known = string.Join(", ", LoadShape.All.Select(each => each.Name));
                error = $"'{args[i]}' is neither a shape ({known}) nor an option with a number from 1 to 100; {Usage}";
            }
        }
        if (error is not null)
            return false;
        options = shapes.Count == 0 ? result : result with { Shapes = shapes };
        return true;
    }

    private static ComparisonOptions? With(ComparisonOptions options, string flag, int number) => flag switch
    {
        "--pairs" => options with { Pairs = number },
        "--seconds" => options with { Seconds = number },
        "--replicas" => options with { Replicas = number },
        _ => null,
    };
}
