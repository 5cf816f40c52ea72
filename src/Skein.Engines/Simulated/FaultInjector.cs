namespace Skein.Engines.Simulated;

/// <summary>The faults of one attempt.</summary>
/// <exception cref="FaultException">The request asks for a fault that cannot be read, or faults are not enabled.</exception>
internal sealed class FaultInjector(SimulatedEngineOptions options, GenerateRequest request, TimeProvider time, Action? crash)
{
    private readonly SimulatedFault[] _faults = [.. options.Faults.Concat(Asked(options, request)).Where(fault =>
        (fault.Attempt == 0 || fault.Attempt == Math.Max(request.Attempt, 1)) && (fault.On is null || fault.On == options.ReplicaName))];

    /// <summary>Runs the fault that is planned before token <paramref name="index"/>, or before the start frame (null), if any.</summary>
    public ValueTask PassAsync(int? index, CancellationToken cancellationToken)
    {
        foreach (var fault in _faults)
        {
            if (fault.At == index)
                return HappenAsync(fault, cancellationToken);
        }

        return ValueTask.CompletedTask;
    }

    private async ValueTask HappenAsync(SimulatedFault fault, CancellationToken cancellationToken)
    {
        if (fault.Kind == SimulatedFaultKind.Error || (fault.Kind == SimulatedFaultKind.Crash && crash is null))
        {
            var place = fault.At is { } index ? $"at token {index}" : "before the start";
            throw new FaultException(Fault.EngineFailed, $"simulated {fault.Kind.ToString().ToLowerInvariant()} {place}");
        }

        if (fault.Kind == SimulatedFaultKind.Crash)
            crash!();

        await Task.Delay(fault.Kind == SimulatedFaultKind.Slow ? TimeSpan.FromMilliseconds(fault.Ms) : Timeout.InfiniteTimeSpan, time, cancellationToken);
    }

    private static IReadOnlyList<SimulatedFault> Asked(SimulatedEngineOptions options, GenerateRequest request) =>
        request.Extra.FirstOrDefault(member => member.Name == SimulatedFaultJson.Member) is not { } asked ? []
        : options.EnableFaults ? SimulatedFaultJson.Parse(asked.Json.Span)
        : throw new FaultException(Fault.InvalidRequest, $"{asked.Name} is present; faults are not enabled on this replica");
}
