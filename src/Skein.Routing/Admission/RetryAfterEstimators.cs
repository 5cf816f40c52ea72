namespace Skein.Routing.Admission;

/// <summary>The virtual line of each model, and the one of the whole gateway. Used under the admission lock.</summary>
internal sealed class RetryAfterEstimators
{
    private const int MostModels = 4096;

    private readonly Dictionary<string, RetryAfterEstimator> _ofModels = new(StringComparer.Ordinal);

    /// <summary>The line of those whom the gateway itself refuses.</summary>
    public RetryAfterEstimator OfGateway { get; } = new();

    /// <summary>The line of one model.</summary>
    public RetryAfterEstimator Of(string model)
    {
        if (!_ofModels.TryGetValue(model, out var line))
        {
            // Bounded by what the fleet knows: a made-up name never gets here.
            if (_ofModels.Count >= MostModels)
                _ofModels.Clear();
            _ofModels[model] = line = new RetryAfterEstimator();
        }
        return line;
    }

    /// <summary>Takes in how long a slot was held, for all lines that it served.</summary>
    public void Observe(IReadOnlyList<string> models, TimeSpan held)
    {
        OfGateway.Observe(held);
        for (var i = 0; i < models.Count; i++)
            Of(models[i]).Observe(held);
    }
}
