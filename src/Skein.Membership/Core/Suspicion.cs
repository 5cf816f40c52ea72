namespace Skein.Membership.Core;

/// <summary>The clock of one suspicion.</summary>
internal sealed class Suspicion(TimeSpan start)
{
    public TimeSpan Start { get; set; } = start;

    /// <summary>This member has asked the suspect itself, shortly before its verdict.</summary>
    public bool Asked { get; set; }

    /// <summary>No verdict before that, whatever the window says.</summary>
    public TimeSpan NotBefore { get; set; }

    /// <summary>
    /// Length of the window: from <paramref name="max"/> for a lone accuser down to <paramref name="min"/> with
    /// <paramref name="expected"/> confirmations, by the logarithm (Dadgar, Phillips, Currey: Lifeguard, DSN 2018, section IV-B).
    /// </summary>
    public static TimeSpan Window(TimeSpan min, TimeSpan max, int confirmations, int expected)
    {
        if (expected < 1 || confirmations >= expected)
            return min;
        var share = Math.Log(confirmations + 1) / Math.Log(expected + 1);
        var micros = (long)(max.TotalMicroseconds - (max - min).TotalMicroseconds * share);
        return TimeSpan.FromMicroseconds(micros);
    }
}
