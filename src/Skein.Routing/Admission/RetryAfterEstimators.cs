namespace Skein.Routing.Admission;

/// <summary>The estimator of each model, and the one of the whole gateway. Used under the admission lock.</summary>
internal sealed class RetryAfterEstimators
{
    private const int MostModels = 4096;

    private readonly Dictionary<string, RetryAfterEstimator> _ofModels = new(StringComparer.Ordinal);

    /// <summary>For callers that the gateway refuses for its own bounds.</summary>
    public RetryAfterEstimator OfGateway { get; } = new();

    /// <summary>For callers that wait for one model.</summary>
    public RetryAfterEstimator Of(string model)
    {
        if (!_ofModels.TryGetValue(model, out var estimator))
        {
            // Only models that the fleet knows get here.
            if (_ofModels.Count >= MostModels)
                _ofModels.Clear();
            _ofModels[model] = estimator = new RetryAfterEstimator();
        }
        return estimator;
    }

    /// <summary>Adds the time for which a slot was leased, for all models that it serves.</summary>
    public void Observe(IReadOnlyList<string> models, TimeSpan held)
    {
        OfGateway.Observe(held);
        for (var i = 0; i < models.Count; i++)
            Of(models[i]).Observe(held);
    }
}
