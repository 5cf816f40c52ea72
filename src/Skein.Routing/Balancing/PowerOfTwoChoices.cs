namespace Skein.Routing.Balancing;

/// <summary>
/// The better of two random replicas (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001). Suits many gateways whose
/// knowledge of each other's load is old.
/// </summary>
internal sealed class PowerOfTwoChoices : IBalancingPolicy
{
    public string Name => "power-of-two-choices";

    public int Pick(in PickContext context)
    {
        var candidates = context.Candidates;
        if (candidates.Length == 1)
            return 0;
        var first = context.Random.Next(candidates.Length);
        var second = context.Random.Next(candidates.Length - 1);
        if (second >= first)
            second++;
        return candidates[second].Score < candidates[first].Score ? second : first;
    }
}
