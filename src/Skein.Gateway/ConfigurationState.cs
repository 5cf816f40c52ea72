namespace Skein.Gateway;

/// <summary>What became of the configuration that was read last. Thread-safe.</summary>
public sealed class ConfigurationState
{
    private long _applied;
    private long _refused;
    private volatile string? _problem;

    /// <summary>Why the newest configuration is not in use; null: it is.</summary>
    public string? Problem => _problem;

    /// <summary>Changes that were applied since the start.</summary>
    internal long AppliedCount => Interlocked.Read(ref _applied);

    /// <summary>Changes that were refused since the start.</summary>
    internal long RefusedCount => Interlocked.Read(ref _refused);

    /// <summary>The newest configuration is in use.</summary>
    public void Applied()
    {
        Interlocked.Increment(ref _applied);
        _problem = null;
    }

    /// <summary>The newest configuration is refused as a whole; the one before it stays in use.</summary>
    public void Refused(string problem)
    {
        Interlocked.Increment(ref _refused);
        _problem = problem;
    }
}
