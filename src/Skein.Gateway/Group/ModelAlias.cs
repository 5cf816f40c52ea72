namespace Skein.Gateway.Group;

/// <summary>
/// A name under which clients see one or several models: a request for it goes to any replica that serves one of them, under that replica's own name, and
/// the answer carries the alias. Immutable.
/// </summary>
/// <param name="Name">1 to 256 bytes without control characters. It may be the name of a model; replicas of that model then serve it too.</param>
/// <param name="Models">Names of models, not of other aliases. A replica that serves several of them gets requests under the first one.</param>
public sealed record ModelAlias(string Name, IReadOnlyList<string> Models)
{
    private const int MostAliases = 256;
    private const int MostModels = 32;

    /// <summary>Checks aliases against each other.</summary>
    /// <exception cref="ArgumentException">The message names the alias and what is allowed.</exception>
    internal static void Check(IReadOnlyList<ModelAlias> aliases)
    {
        OptionGuard.Range(aliases.Count, 0, MostAliases, "the number of aliases");
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var alias in aliases)
        {
            OptionGuard.Require(IsName(alias.Name), "an alias", alias.Name, RequestLimits.ModelAllowed);
            OptionGuard.Require(names.Add(alias.Name), $"alias '{alias.Name}'", "given twice", "once, with all its models");
            OptionGuard.Require(
                alias.Models.Count is > 0 and <= MostModels && alias.Models.All(IsName),
                $"alias '{alias.Name}'",
                $"for the models {string.Join(", ", alias.Models)}",
                $"1 to {MostModels} names of {RequestLimits.ModelAllowed}");
        }
        foreach (var alias in aliases)
        {
            var chained = alias.Models.FirstOrDefault(model => model != alias.Name && names.Contains(model));
            OptionGuard.Require(chained is null, $"alias '{alias.Name}'", $"for '{chained}', which is an alias too", "names of models");
        }
    }

    private static bool IsName(string name) =>
        Encoding.UTF8.GetByteCount(name) is > 0 and <= RequestLimits.ModelBytes && RequestLimits.IsModel(name);
}
