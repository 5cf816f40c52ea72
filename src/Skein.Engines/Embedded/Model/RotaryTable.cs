using Skein.Engines.Embedded.Numerics;

namespace Skein.Engines.Embedded.Model;

/// <summary>
/// Rotary positions (Su et al., 2021), in the interleaved form of GGUF's Llama files: elements 2i and 2i + 1 of a head turn by
/// position * base^(-2i / head size).
/// </summary>
internal sealed class RotaryTable
{
    private readonly int _pairs;
    private readonly float[] _sines;
    private readonly float[] _cosines;

    public RotaryTable(int positions, int headSize, double wavelengthBase)
    {
        _pairs = headSize / 2;
        _sines = new float[positions * _pairs];
        _cosines = new float[positions * _pairs];
        var logarithm = PortableMath.Ln(wavelengthBase);
        for (var pair = 0; pair < _pairs; pair++)
        {
            // Each position is turned from the one before. In 64 bits this is far more exact than 32 bits can represent, and needs no sine of large angles.
            var (turnSin, turnCos) = PortableMath.SinCos(PortableMath.Exp(-2.0 * pair / headSize * logarithm));
            var (sin, cos) = (0.0, 1.0);
            for (var position = 0; position < positions; position++)
            {
                _sines[(position * _pairs) + pair] = (float)sin;
                _cosines[(position * _pairs) + pair] = (float)cos;
                (sin, cos) = ((sin * turnCos) + (cos * turnSin), (cos * turnCos) - (sin * turnSin));
            }
        }
    }

    /// <summary>Turns the vectors of several heads to their position, and multiplies them with <paramref name="scale"/>.</summary>
    public void Turn(Span<float> heads, int position, float scale = 1)
    {
        var sines = _sines.AsSpan(position * _pairs, _pairs);
        var cosines = _cosines.AsSpan(position * _pairs, _pairs);
        for (; heads.Length > 0; heads = heads[(2 * _pairs)..])
        {
            for (var i = 0; i < sines.Length; i++)
            {
                var (a, b) = (heads[2 * i], heads[(2 * i) + 1]);
                heads[2 * i] = ((a * cosines[i]) - (b * sines[i])) * scale;
                heads[(2 * i) + 1] = ((a * sines[i]) + (b * cosines[i])) * scale;
            }
        }
    }
}
