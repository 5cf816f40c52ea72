namespace Skein.Engines.OpenAiCompatible.Proofs;

/// <summary>
/// Spaces the tries of a model whose server failed or was too slow: each try costs it up to a few hundred tokens. Not safe for concurrent use.
/// </summary>
internal sealed class TryPause(TimeProvider time)
{
    /// <summary>Longest time of one try.</summary>
    public static readonly TimeSpan TryTimeout = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(9);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    private TimeSpan _pause = Shortest / 2;
    private long? _since;

    /// <summary>Whether the model may be tried.</summary>
    public bool IsOver => _since is not { } since || time.GetElapsedTime(since) >= _pause;

    /// <summary>A try failed: each pause is twice as long as the one before.</summary>
    public void Begin()
    {
        _since = time.GetTimestamp();
        _pause = _pause * 2 > Longest ? Longest : _pause * 2;
    }
}
