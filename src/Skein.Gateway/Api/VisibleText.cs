using System.Buffers;
using System.Security.Cryptography;
using Skein.Protocol;

namespace Skein.Gateway.Api;

/// <summary>Text that stands in headers, comments and logs.</summary>
internal static class VisibleText
{
    private static readonly SearchValues<char> Visible = SearchValues.Create(
        [.. Enumerable.Range('!', '~' - '!' + 1).Select(c => (char)c)]);

    /// <summary>The client's id for its request where it can be used, else a new one of 128 random bits.</summary>
    public static string RequestId(string? fromClient) =>
        fromClient is { Length: > 0 and <= RequestLimits.RequestIdBytes } && IsVisible(fromClient)
            ? fromClient
            : RandomNumberGenerator.GetHexString(32, lowercase: true);

    public static bool IsVisible(ReadOnlySpan<char> text) => !text.ContainsAnyExcept(Visible);

    /// <summary>
    /// A name from another machine, made fit for a header or a comment: a line break in it must not start a line of its own.
    /// </summary>
    public static string Clean(string name) =>
        IsVisible(name) ? name : string.Create(name.Length, name, static (target, source) =>
        {
            for (var i = 0; i < target.Length; i++)
                target[i] = Visible.Contains(source[i]) ? source[i] : '?';
        });
}
