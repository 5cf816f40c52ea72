namespace Skein.Engines.Simulated;

/// <summary>Runs simulated generations at their pace, with the requested faults.</summary>
internal sealed class SimulatedEngine(SimulatedEngineOptions options, TimeProvider time, Action? crash) : IInferenceEngine
{
    private const int DefaultSlots = 64;

    private readonly SimulatedModel _model = new(options);

    public string Kind => SimulatedEngineFactory.Kind;

    public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(new EngineDescription([_model.Description.Clone()], options.Slots ?? DefaultSlots));

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var faults = new FaultInjector(options, request, time, crash);
        await faults.PassAsync(index: null, cancellationToken);

        var generation = new SimulatedGeneration(_model, request);
        yield return generation.Start();

        var pacer = new StreamPacer(options, time, generation.PromptKey);
        await foreach (var frame in DecodeAsync(generation, generation.PrefillTokens, pacer, faults, cancellationToken))
            yield return frame;
    }

    public async IAsyncEnumerable<GenerateFrame> GenerateStandbyAsync(
        GenerateRequest request, Func<CancellationToken, Task<Resume?>> continued, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var faults = new FaultInjector(options, request, time, crash);
        await faults.PassAsync(index: null, cancellationToken);

        var standby = new SimulatedGeneration(_model, request);
        var pacer = new StreamPacer(options, time, standby.PromptKey);
        await pacer.ReadAsync(standby.PrefillTokens, cancellationToken);
        yield return standby.Start();

        var generation = new SimulatedGeneration(_model, new GenerateRequest(request) { Resume = await continued(cancellationToken) });
        var unread = generation.PrefillTokens - standby.PrefillTokens;
        await foreach (var frame in DecodeAsync(generation, unread, pacer, faults, cancellationToken))
            yield return frame;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static async IAsyncEnumerable<GenerateFrame> DecodeAsync(
        SimulatedGeneration generation, int unread, StreamPacer pacer, FaultInjector faults, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var isFirst = true;
        while (!generation.IsComplete)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await faults.PassAsync(generation.Index, cancellationToken);
            await (isFirst ? pacer.ReadAsync(unread, cancellationToken) : pacer.StepAsync(generation.Index, cancellationToken));
            isFirst = false;
            yield return generation.NextToken();
        }

        await faults.PassAsync(generation.Index, cancellationToken);
        yield return generation.Finish();
    }
}
