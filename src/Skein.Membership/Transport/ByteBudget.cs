namespace Skein.Membership.Transport;

/// <summary>Bytes that many share. Safe from any thread.</summary>
/// <param name="most">All of them.</param>
internal sealed class ByteBudget(int most)
{
    private long _taken;

    /// <summary>Takes that many, or none where they are not left.</summary>
    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _taken, bytes) <= most)
            return true;
        Interlocked.Add(ref _taken, -bytes);
        return false;
    }

    /// <summary>Gives back what was taken.</summary>
    public void Return(int bytes) => Interlocked.Add(ref _taken, -bytes);
}
