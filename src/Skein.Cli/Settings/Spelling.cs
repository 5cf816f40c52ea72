namespace Skein.Cli.Settings;

internal static class Spelling
{
    private const int MaxDistance = 2;

    /// <summary>The candidate nearest to the word, at most two typing errors away; null if there is none.</summary>
    public static string? Closest(string word, IEnumerable<string> candidates) =>
        candidates.Select(candidate => (Candidate: candidate, Distance: DistanceOf(word, candidate)))
            .Where(pair => pair.Distance <= Math.Min(MaxDistance, pair.Candidate.Length / 2))
            .OrderBy(pair => pair.Distance)
            .Select(pair => pair.Candidate)
            .FirstOrDefault();

    /// <summary>Levenshtein distance: insertions, deletions and substitutions.</summary>
    private static int DistanceOf(string left, string right)
    {
        int[] previous = [.. Enumerable.Range(0, right.Length + 1)];
        for (var i = 1; i <= left.Length; i++)
        {
            var current = new int[right.Length + 1];
            current[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var substitution = previous[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);
                current[j] = Math.Min(substitution, Math.Min(previous[j], current[j - 1]) + 1);
            }
            previous = current;
        }
        return previous[^1];
    }
}
