namespace Skein.Gateway.Keys;

/// <summary>Divides what a key has left between the gateways of the group until their next exchange. Pure.</summary>
internal static class KeyShare
{
    /// <summary>Part that is divided equally, for load that moves to a gateway that had none; the rest goes where the key was used lately.</summary>
    private const double EqualPart = 0.2;

    /// <param name="own">Requests that were asked for here lately.</param>
    /// <param name="others">The same on all other gateways.</param>
    /// <param name="gateways">Number of live gateways, this one included.</param>
    /// <returns>Above 0, at most 1; 1 for a gateway that is alone.</returns>
    public static double Of(double own, double others, int gateways)
    {
        if (gateways <= 1)
            return 1;
        var equal = 1.0 / gateways;
        return own + others <= 0 ? equal : (EqualPart * equal) + ((1 - EqualPart) * (own / (own + others)));
    }
}

/// <summary>What other gateways report of one key, all together.</summary>
/// <param name="Gateways">Number of live gateways, this one included.</param>
/// <param name="Requests">Requests since the last exchange.</param>
/// <param name="Tokens">Tokens since the last exchange.</param>
/// <param name="Running">Requests now.</param>
/// <param name="Demand">Requests that were asked for lately.</param>
/// <param name="RequestsLeft">Lowest level of the limit at gateways that are asked for the first time; infinite if there is none. So are the next two.</param>
/// <param name="TokensLeft">Of tokens per minute.</param>
/// <param name="DayTokensLeft">Of tokens per day.</param>
/// <param name="Rows">What each gateway reports, by its name; null: none does.</param>
internal readonly record struct KeyUseElsewhere(
    int Gateways, double Requests = 0, double Tokens = 0, long Running = 0, double Demand = 0, double RequestsLeft = double.PositiveInfinity,
    double TokensLeft = double.PositiveInfinity, double DayTokensLeft = double.PositiveInfinity,
    IReadOnlyDictionary<string, KeyUseRow>? Rows = null);
