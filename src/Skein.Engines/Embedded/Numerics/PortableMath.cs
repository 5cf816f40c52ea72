using System.Runtime.Intrinsics;

namespace Skein.Engines.Embedded.Numerics;

/// <summary>Exponential, logarithm, sine and cosine made of IEEE 754 additions, multiplications and divisions only.</summary>
/// <remarks>
/// Those of the platform (<see cref="Math.Exp"/> and others) come from its C library and differ in the last bits between operating systems
/// and processors; a resumed answer could then differ. The basic operations are rounded the same way everywhere, .NET neither
/// re-orders nor fuses them, and so these functions give the same bits everywhere. All are plain series after a reduction of the argument.
/// </remarks>
internal static class PortableMath
{
    private const float LowestExponent = -87.336544f; // below it the result is less than the smallest normal number: 0
    private const float HighestExponent = 88f;

    /// <summary>e to the power of each lane, to within 2 units in the last place; 0 below -87.3, that of 88 above it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> x)
    {
        // x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to a whole number, and leaves it in the low bits.
        // ln 2 comes in two parts, the first one short enough for n times it to be exact.
        var rounder = Vector256.Create(12_582_912f);
        var highest = Vector256.Create(HighestExponent);
        var clamped = Vector256.ConditionalSelect(Vector256.GreaterThan(x, highest), highest, x);
        var shifted = (clamped * Vector256.Create(1.44269504f)) + rounder;
        var n = shifted - rounder;
        var r = clamped - (n * Vector256.Create(0.693359375f)) - (n * Vector256.Create(-2.12194440e-4f));

        var sum = Vector256.Create(1f / 5040);
        sum = (sum * r) + Vector256.Create(1f / 720);
        sum = (sum * r) + Vector256.Create(1f / 120);
        sum = (sum * r) + Vector256.Create(1f / 24);
        sum = (sum * r) + Vector256.Create(1f / 6);
        sum = (sum * r) + Vector256.Create(0.5f);
        sum = (sum * r) + Vector256<float>.One;
        sum = (sum * r) + Vector256<float>.One;

        var powerOfTwo = Vector256.ShiftLeft(shifted.AsInt32() - rounder.AsInt32() + Vector256.Create(127), 23).AsSingle();
        var isTooLow = Vector256.LessThan(x, Vector256.Create(LowestExponent));
        return Vector256.ConditionalSelect(isTooLow, Vector256<float>.Zero, sum * powerOfTwo);
    }

    /// <summary>Natural logarithm of a positive, normal, finite number.</summary>
    public static double Ln(double x)
    {
        // x = m 2^e with m from 0.7 to 1.4; ln m = 2 artanh((m - 1) / (m + 1)).
        var bits = BitConverter.DoubleToInt64Bits(x);
        var exponent = (int)(bits >> 52) - 1023;
        var mantissa = BitConverter.Int64BitsToDouble((bits & 0x000F_FFFF_FFFF_FFFF) | 0x3FF0_0000_0000_0000);
        if (mantissa > 1.4)
        {
            mantissa /= 2;
            exponent++;
        }

        var s = (mantissa - 1) / (mantissa + 1);
        var sum = 0.0;
        for (var k = 25; k >= 1; k -= 2)
            sum = (sum * s * s) + (1.0 / k);

        return (2 * s * sum) + (exponent * 0.69314718055994530942);
    }

    /// <summary>e to the power of <paramref name="x"/>, for -700 to 700.</summary>
    public static double Exp(double x)
    {
        var n = Math.Round(x / 0.69314718055994530942);
        var r = x - (n * 0.69314718055994530942);
        var sum = 1.0;
        for (var k = 18; k >= 1; k--)
            sum = 1 + (sum * r / k);

        return Math.ScaleB(sum, (int)n);
    }

    /// <summary>Sine and cosine of an angle from -1 to 1.</summary>
    public static (double Sin, double Cos) SinCos(double angle)
    {
        var (sin, cos, square) = (1.0, 1.0, angle * angle);
        for (var k = 20; k >= 2; k -= 2)
        {
            cos = 1 - (cos * square / (k * (k - 1)));
            sin = 1 - (sin * square / (k * (k + 1)));
        }

        return (sin * angle, cos);
    }
}
