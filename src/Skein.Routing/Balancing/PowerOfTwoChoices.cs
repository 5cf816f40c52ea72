namespace Skein.Routing.Balancing;

/// <summary>
/// The better of two random replicas (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001): for many gateways with
/// old news of each other's load.
/// </summary>
internal sealed class PowerOfTwoChoices : IBalancingPolicy
{
    public string Name => "power-of-two-choices";

    public int Pick(ReadOnlySpan<BalancingCandidate> candidates, IRandomSource random)
    {
        if (candidates.Length == 1)
            return 0;
        var first = random.Next(candidates.Length);
        var second = random.Next(candidates.Length - 1);
        if (second >= first)
            second++;
        return candidates[second].Score < candidates[first].Score ? second : first;
    }
}
