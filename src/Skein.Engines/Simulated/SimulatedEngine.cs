namespace Skein.Engines.Simulated;

/// <summary>Runs simulated generations at their pace, with the requested faults.</summary>
internal sealed class SimulatedEngine(SimulatedEngineOptions options, TimeProvider time, Action? crash) : IInferenceEngine
{
    private const int DefaultSlots = 64;

    private readonly SimulatedModel _model = new(options);
    private readonly SimulatedBatch? _batch = options.Batch is { } batch ? new SimulatedBatch(batch, time) : null;

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

        using var pacer = PacerOf(generation);
        await foreach (var frame in DecodeAsync(generation, generation.PrefillTokens, pacer, faults, cancellationToken))
            yield return frame;
    }

    public async IAsyncEnumerable<GenerateFrame> GenerateStandbyAsync(
        GenerateRequest request, Func<CancellationToken, Task<Resume?>> continued, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var faults = new FaultInjector(options, request, time, crash);
        await faults.PassAsync(index: null, cancellationToken);

        var standby = new SimulatedGeneration(_model, request);
        using var pacer = PacerOf(standby);
        await pacer.ReadAsync(standby.PrefillTokens, answerTokens: 0, cancellationToken);
        yield return standby.Start();

        var generation = new SimulatedGeneration(_model, new GenerateRequest(request) { Resume = await continued(cancellationToken) });
        var unread = generation.PrefillTokens - standby.PrefillTokens;
        await foreach (var frame in DecodeAsync(generation, unread, pacer, faults, cancellationToken))
            yield return frame;
    }

    public ValueTask DisposeAsync()
    {
        _batch?.Dispose();
        return ValueTask.CompletedTask;
    }

    private IStreamPacer PacerOf(SimulatedGeneration generation) =>
        _batch is null ? new StreamPacer(options, time, generation.PromptKey) : new BatchPacer(_batch);

    private static async IAsyncEnumerable<GenerateFrame> DecodeAsync(
        SimulatedGeneration generation, int unread, IStreamPacer pacer, FaultInjector faults, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var isFirst = true;
        while (!generation.IsComplete)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await faults.PassAsync(generation.Index, cancellationToken);
            await (isFirst ? pacer.ReadAsync(unread, generation.TokensLeft, cancellationToken) : pacer.StepAsync(generation.Index, cancellationToken));
            isFirst = false;
            yield return generation.NextToken();
        }

        await faults.PassAsync(generation.Index, cancellationToken);
        yield return generation.Finish();
    }
}
