namespace Skein.Cli.Terminal;

/// <summary>One line on standard error that is overwritten in place; does nothing if standard error is not a terminal. Thread-safe.</summary>
internal sealed class ProgressLine : IDisposable
{
    private readonly Lock _gate = new();
    private string _line = "";
    private string _shown = "";

    public void Show(string line)
    {
        if (Console.IsErrorRedirected)
            return;
        lock (_gate)
        {
            if (line == _line)
                return;
            // A line that wraps could not be overwritten.
            var width = Math.Max(20, Console.WindowWidth - 1);
            var shown = line.Length > width ? line[..(width - 1)] + "…" : line;
            Console.Error.Write($"\r{shown}{new string(' ', Math.Max(0, _shown.Length - shown.Length))}");
            (_line, _shown) = (line, shown);
        }
    }

    public void Dispose()
    {
        if (_shown.Length > 0)
            Console.Error.Write($"\r{new string(' ', _shown.Length)}\r");
        _shown = "";
    }
}
