using System.Globalization;

namespace Skein.LinkBench;

/// <summary>What one run measured. Latencies are from the engine's token to the session, both on this machine's monotonic clock.</summary>
/// <param name="Units">Tokens; in the shape of requests, requests.</param>
/// <param name="CpuMicroseconds">Of the gateway's process.</param>
/// <param name="TransitP50">Microseconds.</param>
/// <param name="TransitP99">Microseconds.</param>
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
