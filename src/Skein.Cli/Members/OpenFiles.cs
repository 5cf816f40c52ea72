namespace Skein.Cli.Members;

/// <summary>The limit of open files of this process. Each connection takes one; a process that has none left cannot go on.</summary>
internal static class OpenFiles
{
    /// <summary>Files that are kept for everything but clients: libraries (some 230 after the start), connections to servers and members, logs.</summary>
    private const int LeastReserve = 400;

    private const int LeastLimit = 512;

    private const string Limits = "/proc/self/limits";

    /// <summary>Most connections of clients that the limit leaves; null: it is not known.</summary>
    /// <param name="limits">Content of <c>/proc/self/limits</c>; null where there is none.</param>
    /// <exception cref="UsageException">It leaves none.</exception>
    public static int? ConnectionsLeft(string? limits)
    {
        const string Label = "Max open files";
        var line = limits?.Split('\n').FirstOrDefault(line => line.StartsWith(Label, StringComparison.Ordinal));
        if (line?[Label.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [var soft, ..]
            || !int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var limit))
            return null;
        if (limit < LeastLimit)
            throw new UsageException($"the limit of open files is {limit}; allowed: at least {LeastLimit} (ulimit -n, LimitNOFILE)");
        // A quarter, because each running request may take another one to a model server.
        return limit - Math.Max(LeastReserve, limit / 4);
    }

    public static int? ConnectionsLeft()
    {
        try
        {
            return ConnectionsLeft(File.ReadAllText(Limits));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Not Linux.
            return null;
        }
    }
}
