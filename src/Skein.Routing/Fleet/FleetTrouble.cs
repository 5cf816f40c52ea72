namespace Skein.Routing.Fleet;

/// <summary>Why something that may serve models does not serve now. Immutable.</summary>
/// <param name="Models">Models that it served or is meant to serve; null: unknown, it may serve any.</param>
/// <param name="Message">The reason, for clients: it contains no address. Empty: there is nothing to say.</param>
/// <param name="IsFinal">Whether an operator must act first: waiting alone does not help.</param>
/// <param name="Fault">Fault of requests that end because of it.</param>
public sealed record FleetTrouble(IReadOnlyCollection<string>? Models, string Message, bool IsFinal, Fault Fault = Fault.NoReplica)
{
    internal bool Concerns(string model) => Models is null || Models.Contains(model);

    internal bool IsSameAs(FleetTrouble other) =>
        (Message, IsFinal, Fault, Models?.Count) == (other.Message, other.IsFinal, other.Fault, other.Models?.Count)
        && (Models?.SequenceEqual(other.Models!) ?? true);
}
