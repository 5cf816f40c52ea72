namespace Skein.Routing.Admission;

/// <summary>Lists of models are equal if they name the same ones in any order.</summary>
internal sealed class SameModels : IEqualityComparer<IReadOnlyList<string>>
{
    public static SameModels Instance { get; } = new();

    public bool Equals(IReadOnlyList<string>? left, IReadOnlyList<string>? right) =>
        ReferenceEquals(left, right)
        || (left is not null && right is not null && left.Count == right.Count && left.ToHashSet(StringComparer.Ordinal).SetEquals(right));

    public int GetHashCode(IReadOnlyList<string> models)
    {
        var hash = models.Count;
        foreach (var model in models)
            hash += model.GetHashCode(StringComparison.Ordinal);
        return hash;
    }
}
