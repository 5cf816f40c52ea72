namespace Skein.Simulation.Membership;

/// <summary>Settings of a scenario. Immutable.</summary>
public sealed record ScenarioSettings
{
    /// <summary>Number of members. Default: the scenario's own sizes. Range 2 to <see cref="ProtocolOptions.MaxMembers"/> (10,000).</summary>
    public int? Members { get; init; }

    /// <summary>Seed of the first run; each further run uses the next number. Default 1.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Runs of each row. Default: the scenario's own number. Range 1 to 100,000.</summary>
    public int? Runs { get; init; }

    /// <summary>Protocol profile: <c>lan</c> (default), <c>fast</c> or <c>wan</c>.</summary>
    public string Profile { get; init; } = "lan";

    /// <summary>Members know each other from the start, which saves the simulation of the forming group. Default false.</summary>
    public bool Settled { get; init; }

    internal ProtocolOptions Options => Profile switch
    {
        "fast" => ProtocolOptions.Fast,
        "wan" => ProtocolOptions.Wan,
        _ => ProtocolOptions.Lan,
    };

    internal string? Problem =>
        Members is { } members && (members < 2 || members > ProtocolOptions.Lan.MaxMembers)
            ? $"members is {members}: allowed are 2 to {ProtocolOptions.Lan.MaxMembers:#,0}"
        : Runs is < 1 or > 100_000 ? $"runs is {Runs}: allowed are 1 to 100,000"
        : Profile is not ("lan" or "fast" or "wan") ? $"profile is '{Profile}': allowed are lan, fast, wan"
        : null;

    /// <summary>The command-line flags that set these values.</summary>
    public override string ToString()
    {
        var text = string.Create(CultureInfo.InvariantCulture, $" --seed {Seed}");
        if (Members is { } members)
            text += string.Create(CultureInfo.InvariantCulture, $" --members {members}");
        if (Runs is { } runs)
            text += string.Create(CultureInfo.InvariantCulture, $" --runs {runs}");
        if (Profile != "lan")
            text += $" --profile {Profile}";
        return Settled ? $"{text} --settled" : text;
    }
}
