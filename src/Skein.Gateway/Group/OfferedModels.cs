namespace Skein.Gateway.Group;

/// <summary>
/// Names of models that were ever offered, so that a model whose replicas are gone is not called unknown. Bounded: past
/// <see cref="MostNames"/> only names that are offered now are kept. Not thread-safe.
/// </summary>
internal sealed class OfferedModels
{
    public const int MostNames = 16_384;

    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    /// <summary>All names so far; replaced when one is added.</summary>
    public IReadOnlyCollection<string> Names { get; private set; } = [];

    public void Add(IEnumerable<string> offeredNow)
    {
        var before = _names.Count;
        _names.UnionWith(offeredNow);
        if (_names.Count == before)
            return;
        if (_names.Count > MostNames)
        {
            _names.Clear();
            _names.UnionWith(offeredNow.Take(MostNames));
        }
        Names = [.. _names];
    }
}
