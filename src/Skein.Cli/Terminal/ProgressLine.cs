namespace Skein.Cli.Terminal;

/// <summary>One line on standard error that is overwritten in place; does nothing if standard error is not a terminal. Not thread-safe.</summary>
internal sealed class ProgressLine : IDisposable
{
    private string _shown = "";

    public void Show(string line)
    {
        // A line that wraps could not be overwritten.
        var width = Math.Max(20, Console.IsErrorRedirected ? 0 : Console.WindowWidth - 1);
        var shown = line.Length > width ? line[..(width - 1)] + "…" : line;
        if (Console.IsErrorRedirected || shown == _shown)
            return;
        Console.Error.Write($"\r{shown}{new string(' ', Math.Max(0, _shown.Length - shown.Length))}");
        _shown = shown;
    }

    /// <summary>Erases the line.</summary>
    public void Dispose()
    {
        if (_shown.Length > 0)
            Console.Error.Write($"\r{new string(' ', _shown.Length)}\r");
        _shown = "";
    }
}
