using Skein.Simulation.Traces;

namespace Skein.Simulation.Lab;

/// <summary>Runs a trace against production's routing code in virtual time, behind <c>skein simulate trace</c>. Equal settings give equal results.</summary>
public static class TraceLab
{
    /// <summary>Policies that exist only here.</summary>
    public static IReadOnlyList<string> OwnPolicies { get; } =
    [
        OraclePolicy.PolicyName, PlainPrefixHashing.PolicyName, CacheOracle.PolicyName, CacheOracle.BoundedPolicyName,
    ];

    /// <exception cref="ArgumentException">A setting is out of its range; the message says what is allowed.</exception>
    public static TraceLabResult Run(TraceLabSettings settings)
    {
        (var trace, var saturated) = Prepare(settings);
        return new TraceLabResult(
            trace.Count, trace[^1].At.TotalSeconds, trace.SelectMany(request => request.Blocks).Distinct().Count(), saturated, settings.Seed,
            [.. settings.Policies.Select(policy => RunOne(policy, trace, settings))]);
    }

    /// <summary>The trace as the lab replays it: with its shared blocks, and its times scaled to <see cref="TraceLabSettings.Load"/>.</summary>
    /// <returns>It, and the tokens per second that the replicas can serve; 0 if that was not needed.</returns>
    /// <exception cref="ArgumentException">A setting is out of its range; the message says what is allowed.</exception>
    public static (IReadOnlyList<TraceRequest> Trace, double SaturatedTokensPerSecond) Prepare(TraceLabSettings settings)
    {
        settings.Validate();
        var trace =
            settings.SharedBlocks == 0 ? settings.Trace : [.. settings.Trace.Select(request => WithSharedBlocks(request, settings.SharedBlocks))];
        if (settings.Load is not { } load)
            return (trace, 0);
        var saturated = Saturation.TokensPerSecond(trace, settings);
        var demanded = Saturation.TokensOf(trace) / Math.Max(1, trace[^1].At.TotalSeconds);
        return ([.. trace.Select(request => request with { At = request.At * (demanded / (saturated * load)) })], saturated);
    }

    private static PolicyFigures RunOne(string policy, IReadOnlyList<TraceRequest> trace, TraceLabSettings settings)
    {
        using var world = new LabWorld(settings, policy);
        LabRequest[] requests = [.. trace.Select((request, i) => new LabRequest(i, request, request.At))];
        IRandomSource random = new SeededRandomSource(SeededRandomSource.Mix(settings.Seed ^ 0xA11));
        world.Time.Run(async () =>
        {
            var running = new List<Task>(requests.Length);
            foreach (var fault in settings.Faults)
                running.Add(InjectAsync(world, fault));
            foreach (var request in requests)
            {
                if (request.ArrivesAt > world.Now)
                    await world.DelayAsync(request.ArrivesAt - world.Now);
                running.Add(world.Gateways[random.Next(settings.Gateways)].AskAsync(request));
            }
            await Task.WhenAll(running);
        });
        return world.Figures.Summarize(policy, requests, settings, world.Now);
    }

    private static async Task InjectAsync(LabWorld world, LabFault fault)
    {
        // The group needs a moment to notice.
        var notice = TimeSpan.FromMilliseconds(300);
        var replica = world.Replicas[fault.Replica - 1];
        await world.DelayAsync(fault.At);
        switch (fault.Kind)
        {
            case LabFaultKind.Kill:
                replica.Kill();
                await world.DelayAsync(notice);
                world.Publish();
                await world.DelayAsync(fault.Duration);
                replica.Restart();
                world.Publish();
                break;
            case LabFaultKind.Slow:
                replica.Engine.Pace = 0.25;
                await world.DelayAsync(fault.Duration);
                replica.Engine.Pace = 1;
                break;
            default:
                replica.Drain(true);
                await world.DelayAsync(notice);
                world.Publish();
                await world.DelayAsync(fault.Duration);
                replica.Drain(false);
                world.Publish();
                break;
        }
    }

    private static TraceRequest WithSharedBlocks(TraceRequest request, int count)
    {
        var shared = Enumerable.Range(1, count).Select(i => int.MaxValue - i);
        return request with { PromptTokens = request.PromptTokens + (count * TraceRequest.BlockTokens), Blocks = [.. shared, .. request.Blocks] };
    }
}
