namespace Skein.Routing.Streaming;

internal static class CancellationExtensions
{
    /// <summary>Cancels the source. Does nothing if it was disposed: then the work that it would stop has ended.</summary>
    public static void CancelUnlessDisposed(this CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The work has ended.
        }
    }
}
