namespace Skein.Simulation.Lab;

/// <summary>What a fault of the lab does to its replica.</summary>
public enum LabFaultKind
{
    /// <summary>It is killed, and restarted at the end.</summary>
    Kill,

    /// <summary>It is four times slower.</summary>
    Slow,

    /// <summary>It accepts no new requests.</summary>
    Drain,
}

/// <summary>A fault at a stated time. Immutable.</summary>
/// <param name="Replica">Number of the replica, from 1.</param>
public sealed record LabFault(LabFaultKind Kind, int Replica, TimeSpan At, TimeSpan Duration)
{
    /// <summary>How a fault is written.</summary>
    public const string Allowed = "kill, slow or drain, such as kill:2@60+30: replica 2, at 60 s, for 30 s";

    private static readonly TimeSpan Longest = TimeSpan.FromDays(30);

    public static LabFault? Parse(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var at = text.IndexOf('@', StringComparison.Ordinal);
        var plus = text.IndexOf('+', StringComparison.Ordinal);
        if (colon < 0 || at < colon || plus < at
            || !Enum.TryParse<LabFaultKind>(text[..colon], ignoreCase: true, out var kind) || char.IsAsciiDigit(text[0])
            || !int.TryParse(text.AsSpan((colon + 1)..at), NumberStyles.None, CultureInfo.InvariantCulture, out var replica)
            || !TryReadSeconds(text.AsSpan((at + 1)..plus), out var begin) || !TryReadSeconds(text.AsSpan(plus + 1), out var duration))
            return null;
        return new LabFault(kind, replica, begin, duration);
    }

    private static bool TryReadSeconds(ReadOnlySpan<char> text, out TimeSpan time)
    {
        var isNumber = double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds <= Longest.TotalSeconds;
        time = isNumber ? TimeSpan.FromSeconds(seconds) : default;
        return isNumber;
    }
}
