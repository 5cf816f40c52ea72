using System.Globalization;

namespace Skein.Gateway.Api;

/// <summary>The values a number may take, and how errors spell them. NaN is in no range.</summary>
internal readonly record struct NumberRange(double Min, double Max, bool MinExcluded = false)
{
    public bool Contains(double value) => (MinExcluded ? value > Min : value >= Min) && value <= Max;

    public override string ToString()
    {
        var min = Min.ToString("0.######", CultureInfo.InvariantCulture);
        var max = Max.ToString("0.######", CultureInfo.InvariantCulture);
        return (MinExcluded, Max) switch
        {
            (true, float.MaxValue) => $"above {min}, to 3.4e38",
            (true, _) => $"above {min}, to {max}",
            _ => $"{min} to {max}",
        };
    }
}
