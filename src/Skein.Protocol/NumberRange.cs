using System.Globalization;

namespace Skein.Protocol;

/// <summary>An allowed range of numbers. NaN is outside every range.</summary>
public readonly record struct NumberRange(double Min, double Max, bool MinExcluded = false)
{
    public bool Contains(double value) => (MinExcluded ? value > Min : value >= Min) && value <= Max;

    /// <summary>The range as error messages show it.</summary>
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
