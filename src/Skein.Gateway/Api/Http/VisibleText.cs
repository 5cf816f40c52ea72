namespace Skein.Gateway.Api.Http;

/// <summary>Makes text safe for headers, comments and logs.</summary>
internal static class VisibleText
{
    private static readonly SearchValues<char> Visible = SearchValues.Create(
        [.. Enumerable.Range('!', '~' - '!' + 1).Select(c => (char)c)]);

    /// <summary>Returns the client's request id if it is valid, else a new one of 128 random bits.</summary>
    public static string RequestId(string? fromClient) =>
        fromClient is { Length: > 0 and <= RequestLimits.RequestIdBytes } && IsVisible(fromClient)
            ? fromClient
            : SystemRandomSource.NextHexId();

    /// <summary>Replaces every character but visible ASCII: a name from another machine must not start a new line in a header.</summary>
    public static string Clean(string name) => IsVisible(name) ? name : string.Concat(name.Select(c => Visible.Contains(c) ? c : '?'));

    private static bool IsVisible(ReadOnlySpan<char> text) => !text.ContainsAnyExcept(Visible);
}
