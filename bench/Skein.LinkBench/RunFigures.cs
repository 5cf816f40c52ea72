using System.Globalization;

namespace Skein.LinkBench;

/// <summary>Figures of one run. Transit is the time from the engine's token to the session, on this machine's monotonic clock.</summary>
/// <param name="Units">Tokens, or requests where each has one token.</param>
/// <param name="CpuMicroseconds">CPU time of the gateway process.</param>
/// <param name="TransitP50">Median transit in microseconds.</param>
/// <param name="TransitP99">99th percentile of the transit in microseconds.</param>
internal readonly record struct RunFigures(long Units, double CpuMicroseconds, double TransitP50, double TransitP99)
{
    public double CpuPerUnit => CpuMicroseconds / Units;

    public string ToLine() => FormattableString.Invariant($"{Units} {CpuMicroseconds} {TransitP50} {TransitP99}");

    public static RunFigures FromLine(string line)
    {
        var words = line.Split(' ');
        double Number(int index) => double.Parse(words[index], CultureInfo.InvariantCulture);
        return new RunFigures(long.Parse(words[0], CultureInfo.InvariantCulture), Number(1), Number(2), Number(3));
    }
}
