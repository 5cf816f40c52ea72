using System.Globalization;

namespace Skein.Simulation.Membership.Scenarios;

/// <summary>Measured values of one kind.</summary>
internal sealed class Sample
{
    private readonly List<double> _values = [];
    private bool _sorted = true;

    public int Count => _values.Count;

    public double Mean => _values.Count == 0 ? double.NaN : _values.Average();

    public double Max => Quantile(1);

    public void Add(double value)
    {
        _values.Add(value);
        _sorted = false;
    }

    public void Add(TimeSpan time) => Add(time.TotalSeconds);

    public double Quantile(double share)
    {
        if (_values.Count == 0)
            return double.NaN;
        if (!_sorted)
            _values.Sort();
        _sorted = true;
        return _values[Math.Min(_values.Count - 1, (int)(share * _values.Count))];
    }

    /// <summary>Median and largest value, as the baseline tables have them.</summary>
    public string MedianAndMax => $"{Text(Quantile(0.5))} / {Text(Max)}";

    public static string Text(double value) => double.IsNaN(value) ? "-" : value.ToString(value < 10 ? "0.###" : "0.#", CultureInfo.InvariantCulture);
}
