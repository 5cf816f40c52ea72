using System.Runtime.Intrinsics;
using CsCheck;
using Skein.Engines.Embedded.Numerics;

namespace Skein.Engines.Tests.Embedded;

public class NumericsTests
{
    private static readonly Gen<(int Rows, int Columns, int Tokens, int Seed)> Shapes = Gen.Select(Gen.Int[1, 13], Gen.Int[1, 70], Gen.Int[1, 7], Gen.Int);

    [Fact]
    public void Multiply_AnyShapeAndNumberOfTokens_SumsInTheDocumentedOrder() => Shapes.Sample(shape =>
    {
        var random = new Random(shape.Seed);
        var weights = Numbers(random, shape.Rows * shape.Columns);
        var bias = Numbers(random, shape.Rows);
        var x = Numbers(random, shape.Tokens * shape.Columns);
        var y = new float[shape.Tokens * shape.Rows];

        Kernels.Multiply(new Matrix(weights, shape.Rows, shape.Columns, bias), x, shape.Tokens, y);

        for (var i = 0; i < y.Length; i++)
        {
            var (token, row) = Math.DivRem(i, shape.Rows);
            var expected = ScalarDot(weights.AsSpan(row * shape.Columns, shape.Columns), x.AsSpan(token * shape.Columns, shape.Columns)) + bias[row];
            Assert.Equal(BitConverter.SingleToInt32Bits(expected), BitConverter.SingleToInt32Bits(y[i]));
        }
    });

    [Fact]
    public void Exp_WholeRange_IsWithinTwoUnitsOfTheLastPlace()
    {
        for (var x = -87.3f; x <= 88; x += 0.00137f)
        {
            var exact = Math.Exp(x);
            Assert.InRange(PortableMath.Exp(Vector256.Create(x))[3], exact * (1 - 2.4e-7), exact * (1 + 2.4e-7));
        }

        Assert.Equal(0, PortableMath.Exp(Vector256.Create(-88f))[0]);
        Assert.Equal(0, PortableMath.Exp(Vector256.Create(float.NegativeInfinity))[0]);
        Assert.Equal(1, PortableMath.Exp(Vector256.Create(0f))[0]);
    }

    [Fact]
    public void LnExpSinCos_WholeRange_EqualThePlatformsToTheLastDigits()
    {
        for (var i = -1000; i <= 1000; i++)
        {
            var (sin, cos) = PortableMath.SinCos(i / 1000.0);
            Assert.Equal(Math.Sin(i / 1000.0), sin, 1e-15);
            Assert.Equal(Math.Cos(i / 1000.0), cos, 1e-15);
            Assert.Equal(1, PortableMath.Exp(i / 2.0) / Math.Exp(i / 2.0), 1e-12);
            Assert.Equal(i / 2.0 * Math.Log(2), PortableMath.Ln(Math.Pow(2, i / 2.0)), 1e-12);
        }
    }

    [Fact]
    public void Exponentiate_AnyLength_GivesASoftmaxAndItsSum() => Gen.Float[-50, 50].Array[1, 40].Sample(values =>
    {
        var expected = values.Select(value => Math.Exp((value - (double)values.Max()) / 0.5)).ToArray();

        var sum = Elementwise.Exponentiate(values, 0.5f);

        Assert.Equal(1, sum / expected.Sum(), 1e-5);
        Assert.All(values, (value, i) => Assert.Equal(expected[i], value, 1e-5));
    });

    private static float[] Numbers(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];

    // The order of Kernels' documentation, without vectors.
    private static float ScalarDot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var lanes = new float[8];
        var whole = a.Length / 8 * 8;
        for (var i = 0; i < whole; i++)
        {
            lanes[i % 8] += a[i] * b[i];
        }

        for (var half = 4; half >= 1; half /= 2)
        {
            for (var lane = 0; lane < half; lane++)
            {
                lanes[lane] += lanes[lane + half];
            }
        }

        for (var i = whole; i < a.Length; i++)
        {
            lanes[0] += a[i] * b[i];
        }

        return lanes[0];
    }
}
