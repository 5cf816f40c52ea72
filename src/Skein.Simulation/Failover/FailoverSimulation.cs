namespace Skein.Simulation.Failover;

/// <summary>
/// Streams on replicas that are killed, frozen, slowed, drained and whose engines fail, behind <c>skein simulate failover</c>: every token of
/// every stream is compared with the undisturbed answer. Equal settings give equal tables.
/// </summary>
public static class FailoverSimulation
{
    /// <summary>Runs until enough failovers have happened and all streams have ended.</summary>
    /// <exception cref="ArgumentException">A setting is out of its range; the message says what is allowed.</exception>
    public static FailoverResult Run(FailoverSettings settings)
    {
        if (settings.Problem is { } problem)
            throw new ArgumentException(problem);
        using var world = new FailoverWorld(settings);
        var clients = new Clients(world, settings);
        var faults = new Faults(world, new SeededRandomSource(SeededRandomSource.Mix(settings.Seed)));
        world.Time.Run(async () =>
        {
            var load = clients.RunAsync();
            await faults.InjectAsync(until: () => world.Statistics.FailoversOfAll >= settings.Failovers || clients.HasFound);
            clients.Stop();
            await load;
        });
        return new FailoverResult(
            settings, world.Time.GetUtcNow() - DateTimeOffset.UnixEpoch, clients.Streams, clients.Tokens, clients.Errors, clients.Poison,
            world.Admission.Leased,
            faults.Counts, [.. world.Statistics.FailoversByName().Where(failovers => failovers.Count > 0)],
            clients.TraceHash);
    }
}

/// <summary>What a failover simulation found. Immutable.</summary>
/// <param name="Elapsed">Virtual time.</param>
/// <param name="Errors">Errors of streams: a lost, repeated or different token, a wrong end, a fault. Must be empty.</param>
/// <param name="Poison">
/// Streams that were ended as poison, because two attempts in a row were lost without a new token: a second fault occurred before the first one was over.
/// </param>
/// <param name="LeasesLeft">Slots that are still leased after every stream has ended. Must be 0.</param>
/// <param name="TraceHash">Hash of everything the clients received, and when: equal for equal settings.</param>
public sealed record FailoverResult(
    FailoverSettings Settings,
    TimeSpan Elapsed,
    int Streams,
    long Tokens,
    IReadOnlyList<string> Errors,
    int Poison,
    int LeasesLeft,
    IReadOnlyList<(string Kind, int Count)> Faults,
    IReadOnlyList<(string Reason, long Count)> Failovers,
    ulong TraceHash)
{
    private const int LeastFailoversPerPoison = 1000;

    /// <summary>True when every stream equals its undisturbed answer, except those that ended as poison.</summary>
    public bool IsClean => Errors.Count == 0 && LeasesLeft == 0 && Poison <= Failovers.Sum(failover => failover.Count) / LeastFailoversPerPoison;

    public SimulationTable ToTable()
    {
        static string Number(long value) => value.ToString("#,0", CultureInfo.InvariantCulture);
        var reasons = string.Join(", ", Failovers.Select(failover => $"{failover.Reason} {Number(failover.Count)}"));
        var rows = new List<IReadOnlyList<string>>
        {
            new[] { "streams, tokens", $"{Number(Streams)}, {Number(Tokens)}" },
            new[] { "virtual time", $"{Elapsed.TotalSeconds.ToString("0", CultureInfo.InvariantCulture)} s" },
            new[] { "faults", string.Join(", ", Faults.Select(fault => $"{fault.Kind} {Number(fault.Count)}")) },
            new[] { "failovers", $"{Number(Failovers.Sum(failover => failover.Count))}: {reasons}" },
            new[] { "streams that differ or failed", Number(Errors.Count) },
            new[] { "streams taken for poison", Number(Poison) },
            new[] { "leases left over", Number(LeasesLeft) },
            new[] { "trace", TraceHash.ToString("x16", CultureInfo.InvariantCulture) },
        };
        rows.AddRange(Errors.Take(5).Select(error => new[] { "for example", error }));
        var command = string.Create(
            CultureInfo.InvariantCulture,
            $"skein simulate failover --failovers {Settings.Failovers} --replicas {Settings.Replicas} --streams {Settings.Streams} --seed {Settings.Seed}");
        return new SimulationTable($"Every token of every stream compared with the undisturbed answer\n{command}", ["figure", "value"], rows);
    }
}

/// <summary>Settings of the failover simulation. Immutable.</summary>
public sealed record FailoverSettings
{
    /// <summary>Failovers after which the run ends. 1 to 10,000,000; default 10,000.</summary>
    public int Failovers { get; init; } = 10_000;

    /// <summary>Seed of all randomness. Default 1.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Replicas. 3 to 1,000; default 6. Two of them are never harmed.</summary>
    public int Replicas { get; init; } = 6;

    /// <summary>Streams at any moment. 1 to 10,000; default 60. The replicas that are never harmed have slots for all of them.</summary>
    public int Streams { get; init; } = 60;

    internal string? Problem =>
        Failovers is < 1 or > 10_000_000 ? $"failovers is {Failovers}: allowed are 1 to 10,000,000"
        : Replicas is < 3 or > 1000 ? $"replicas is {Replicas}: allowed are 3 to 1,000"
        : Streams is < 1 or > 10_000 ? $"streams is {Streams}: allowed are 1 to 10,000"
        : null;
}
