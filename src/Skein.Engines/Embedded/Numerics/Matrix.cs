namespace Skein.Engines.Embedded.Numerics;

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
