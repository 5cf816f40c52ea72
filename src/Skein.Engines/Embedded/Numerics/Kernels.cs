using System.Runtime.Intrinsics;

namespace Skein.Engines.Embedded.Numerics;

/// <summary>Sums of products, every one of them in one fixed order.</summary>
/// <remarks>
/// <para>The order: lane j of 8 adds up the products of elements j, j + 8, j + 16, …; then lanes 0-3 take lanes 4-7, lanes 0-1 take lanes
/// 2-3, lane 0 takes lane 1; then the products of the elements that fill no 8 are added one by one. Nothing else has an influence: not the number of
/// tokens in a call, not the tiling, not the processor's real vector width (<see cref="Vector256{T}"/> means the same eight IEEE 754
/// operations on hardware of any width, and without any).</para>
/// <para>Products are rounded before they are added. A fused multiply-add would round once, but not every processor has one, and where it
/// is missing it has to be emulated, many times slower. .NET never fuses on its own.</para>
/// </remarks>
internal static class Kernels
{
    private const int Lanes = 8;

    /// <summary>Multiplies a matrix with the columns of several tokens: y[t] = W x[t] + b.</summary>
    /// <param name="x">Tokens after tokens, each of matrix.Columns.</param>
    /// <param name="y">Tokens after tokens, each of matrix.Rows.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(Matrix matrix, ReadOnlySpan<float> x, int tokens, Span<float> y)
    {
        var (rows, columns) = (matrix.Rows, matrix.Columns);
        x = x[..(tokens * columns)]; // checks the lengths, which the code below does not
        y = y[..(tokens * rows)];
        ref var weights = ref MemoryMarshal.GetReference(matrix.Values);
        ref var input = ref MemoryMarshal.GetReference(x);
        ref var output = ref MemoryMarshal.GetReference(y);

        // Four rows stay in the first-level cache while they are multiplied with all tokens.
        var row = 0;
        for (; row + 4 <= rows; row += 4)
        {
            ref var w = ref Unsafe.Add(ref weights, row * columns);
            ref var target = ref Unsafe.Add(ref output, row);
            var token = 0;
            for (; token + 2 <= tokens; token += 2)
                FourRowsTwoTokens(ref w, ref Unsafe.Add(ref input, token * columns), columns, ref Unsafe.Add(ref target, token * rows), rows);

            if (token < tokens)
                FourRows(ref w, ref Unsafe.Add(ref input, token * columns), columns, ref Unsafe.Add(ref target, token * rows));
        }

        for (; row < rows; row++)
        {
            for (var token = 0; token < tokens; token++)
                y[(token * rows) + row] = Dot(matrix.Row(row), x.Slice(token * columns, columns));
        }

        AddBias(matrix.Bias, tokens, y);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        b = b[..a.Length]; // checks the length, which the code below does not
        ref var first = ref MemoryMarshal.GetReference(a);
        ref var second = ref MemoryMarshal.GetReference(b);
        var sum = Vector256<float>.Zero;
        var i = 0;
        for (; i + Lanes <= a.Length; i += Lanes)
            sum += Load(ref first, i) * Load(ref second, i);

        return Finish(sum, ref first, ref second, i, a.Length);
    }

    /// <summary>Adds up the lanes, in the order above.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> lanes)
    {
        var four = lanes.GetLower() + lanes.GetUpper();
        var two = four + Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1));
        return two.GetElement(0) + two.GetElement(1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FourRows(ref float w0, ref float x, int columns, ref float y)
    {
        ref var w1 = ref Unsafe.Add(ref w0, columns);
        ref var w2 = ref Unsafe.Add(ref w1, columns);
        ref var w3 = ref Unsafe.Add(ref w2, columns);
        Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default;
        var i = 0;
        for (; i + Lanes <= columns; i += Lanes)
        {
            var v = Load(ref x, i);
            s0 += Load(ref w0, i) * v;
            s1 += Load(ref w1, i) * v;
            s2 += Load(ref w2, i) * v;
            s3 += Load(ref w3, i) * v;
        }

        y = Finish(s0, ref w0, ref x, i, columns);
        Unsafe.Add(ref y, 1) = Finish(s1, ref w1, ref x, i, columns);
        Unsafe.Add(ref y, 2) = Finish(s2, ref w2, ref x, i, columns);
        Unsafe.Add(ref y, 3) = Finish(s3, ref w3, ref x, i, columns);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FourRowsTwoTokens(ref float w0, ref float x, int columns, ref float y, int rows)
    {
        ref var w1 = ref Unsafe.Add(ref w0, columns);
        ref var w2 = ref Unsafe.Add(ref w1, columns);
        ref var w3 = ref Unsafe.Add(ref w2, columns);
        ref var x1 = ref Unsafe.Add(ref x, columns);
        Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
        var i = 0;
        for (; i + Lanes <= columns; i += Lanes)
        {
            var (v, u) = (Load(ref x, i), Load(ref x1, i));
            var w = Load(ref w0, i);
            s0 += w * v;
            t0 += w * u;
            w = Load(ref w1, i);
            s1 += w * v;
            t1 += w * u;
            w = Load(ref w2, i);
            s2 += w * v;
            t2 += w * u;
            w = Load(ref w3, i);
            s3 += w * v;
            t3 += w * u;
        }

        y = Finish(s0, ref w0, ref x, i, columns);
        Unsafe.Add(ref y, 1) = Finish(s1, ref w1, ref x, i, columns);
        Unsafe.Add(ref y, 2) = Finish(s2, ref w2, ref x, i, columns);
        Unsafe.Add(ref y, 3) = Finish(s3, ref w3, ref x, i, columns);
        ref var y1 = ref Unsafe.Add(ref y, rows);
        y1 = Finish(t0, ref w0, ref x1, i, columns);
        Unsafe.Add(ref y1, 1) = Finish(t1, ref w1, ref x1, i, columns);
        Unsafe.Add(ref y1, 2) = Finish(t2, ref w2, ref x1, i, columns);
        Unsafe.Add(ref y1, 3) = Finish(t3, ref w3, ref x1, i, columns);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Finish(Vector256<float> lanes, ref float a, ref float b, int from, int length)
    {
        var sum = Sum(lanes);
        for (var i = from; i < length; i++)
            sum += Unsafe.Add(ref a, i) * Unsafe.Add(ref b, i);

        return sum;
    }

    private static void AddBias(ReadOnlySpan<float> bias, int tokens, Span<float> y)
    {
        for (var token = 0; bias.Length > 0 && token < tokens; token++)
        {
            var target = y.Slice(token * bias.Length, bias.Length);
            for (var i = 0; i < target.Length; i++)
                target[i] += bias[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Load(ref float start, int index) => Vector256.LoadUnsafe(ref start, (nuint)index);
}

/// <summary>Weights of one linear layer: y = W x + b. Read-only, and shared by all streams.</summary>
/// <param name="values">Rows after rows.</param>
/// <param name="rows">Length of the result.</param>
/// <param name="columns">Length of the argument.</param>
/// <param name="bias">Added to the result; null: nothing.</param>
internal sealed class Matrix(float[] values, int rows, int columns, float[]? bias = null)
{
    public int Rows => rows;

    public int Columns => columns;

    public ReadOnlySpan<float> Values => values;

    public ReadOnlySpan<float> Bias => bias;

    public ReadOnlySpan<float> Row(int index) => values.AsSpan(index * columns, columns);
}
