using System.Runtime.Intrinsics;

namespace Skein.Engines.Embedded.Numerics;

/// <summary>Elementwise operations on vectors, and the sums that they need, in the order of <see cref="Kernels"/>.</summary>
internal static class Elementwise
{
    private const int Lanes = 8;

    /// <summary>Root mean square normalization: target = x / sqrt(mean(x²) + epsilon) * weight.</summary>
    public static void Normalize(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, float epsilon, Span<float> target)
    {
        var scale = 1 / MathF.Sqrt((Kernels.Dot(x, x) / x.Length) + epsilon); // the square root is correctly rounded everywhere
        for (var i = 0; i < x.Length; i++)
            target[i] = x[i] * scale * weight[i];
    }

    public static void Add(Span<float> target, ReadOnlySpan<float> x)
    {
        for (var i = 0; i < target.Length; i++)
            target[i] += x[i];
    }

    /// <summary>The gate of SwiGLU: gate = gate / (1 + e^-gate) * up.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gate(Span<float> gate, ReadOnlySpan<float> up)
    {
        var i = 0;
        for (; i + Lanes <= gate.Length; i += Lanes)
            Gate(Vector256.Create<float>(gate[i..]), Vector256.Create<float>(up[i..])).CopyTo(gate[i..]);

        if (i < gate.Length)
        {
            Span<float> padded = stackalloc float[2 * Lanes];
            padded.Clear();
            gate[i..].CopyTo(padded);
            up[i..gate.Length].CopyTo(padded[Lanes..]);
            Gate(Vector256.Create<float>(padded), Vector256.Create<float>(padded[Lanes..])).CopyTo(padded);
            padded[..(gate.Length - i)].CopyTo(gate[i..]);
        }
    }

    /// <summary>The first half of a softmax: values = e^((value - largest) / temperature).</summary>
    /// <returns>Their sum.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Exponentiate(Span<float> values, float temperature = 1)
    {
        var largest = Vector256.Create(Largest(values));
        var divisor = Vector256.Create(temperature);
        var sum = Vector256<float>.Zero;
        var i = 0;
        for (; i + Lanes <= values.Length; i += Lanes)
        {
            var power = PortableMath.Exp((Vector256.Create<float>(values[i..]) - largest) / divisor);
            power.CopyTo(values[i..]);
            sum += power;
        }

        if (i < values.Length)
        {
            Span<float> padded = stackalloc float[Lanes];
            padded.Fill(float.NegativeInfinity);
            values[i..].CopyTo(padded);
            var power = PortableMath.Exp((Vector256.Create<float>(padded) - largest) / divisor);
            power.CopyTo(padded);
            padded[..(values.Length - i)].CopyTo(values[i..]);
            sum += power;
        }

        return Kernels.Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Gate(Vector256<float> gate, Vector256<float> up) =>
        gate / (Vector256<float>.One + PortableMath.Exp(-gate)) * up;

    // The maximum does not depend on the order.
    private static float Largest(ReadOnlySpan<float> values)
    {
        var vectors = MemoryMarshal.Cast<float, Vector256<float>>(values);
        var lanes = Vector256.Create(float.NegativeInfinity);
        foreach (var vector in vectors)
            lanes = Vector256.ConditionalSelect(Vector256.GreaterThan(vector, lanes), vector, lanes);

        var largest = float.NegativeInfinity;
        for (var i = 0; i < Lanes; i++)
            largest = lanes[i] > largest ? lanes[i] : largest;

        foreach (var value in values[(vectors.Length * Lanes)..])
            largest = value > largest ? value : largest;

        return largest;
    }
}
