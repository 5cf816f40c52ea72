namespace Skein.Routing.Streaming;

internal static class CancellationExtensions
{
    /// <summary>Cancels. Does nothing after the source was disposed: what it stops has ended then.</summary>
    public static void CancelUnlessDisposed(this CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // What it stops has ended.
        }
    }
}
