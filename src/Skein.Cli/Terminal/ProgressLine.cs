namespace Skein.Cli.Terminal;

/// <summary>One line on a terminal's standard error that is written over; nothing where there is no terminal. Not thread-safe.</summary>
internal sealed class ProgressLine : IDisposable
{
    private string _told = "";

    public void Tell(string line)
    {
        if (Console.IsErrorRedirected || line == _told)
            return;
        // Longer ones would wrap, and then not be written over.
        var width = Math.Max(20, Console.WindowWidth - 1);
        var shown = line.Length > width ? line[..width] : line;
        Console.Error.Write($"\r{shown}{new string(' ', Math.Max(0, _told.Length - shown.Length))}");
        _told = shown;
    }

    /// <summary>Takes the line away.</summary>
    public void Dispose()
    {
        if (_told.Length == 0)
            return;
        Console.Error.Write($"\r{new string(' ', _told.Length)}\r");
        _told = "";
    }
}
