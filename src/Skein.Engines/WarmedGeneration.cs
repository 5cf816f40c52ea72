namespace Skein.Engines;

/// <summary>Runs standby attempts on engines that cannot pause, with two calls: one fills the prefix cache, one generates the answer.</summary>
internal static class WarmedGeneration
{
    public static async IAsyncEnumerable<GenerateFrame> RunAsync(
        IInferenceEngine engine,
        GenerateRequest request,
        Func<CancellationToken, Task<Resume?>> continued,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return await WarmUpAsync(engine, request, cancellationToken);
        var rest = new GenerateRequest(request) { Resume = await continued(cancellationToken) };
        await foreach (var frame in engine.GenerateAsync(rest, cancellationToken))
        {
            if (frame.Start is null)
                yield return frame;
        }
    }

    /// <returns>The start frame; the rest of the output is dropped.</returns>
    private static async ValueTask<GenerateFrame> WarmUpAsync(IInferenceEngine engine, GenerateRequest request, CancellationToken cancellationToken)
    {
        var one = (request.Resume?.NextIndex ?? 0) + 1;
        var warmUp = new GenerateRequest(request) { MaxTokens = request.HasMaxTokens ? Math.Min(request.MaxTokens, one) : one };
        GenerateFrame? start = null;
        await foreach (var frame in engine.GenerateAsync(warmUp, cancellationToken))
        {
            start ??= frame;
            if (start.Start?.ResumeTier == ResumeTier.None)
                throw new FaultException(Fault.ResumeRefused, "hold is true; the resume tier of this request is none: it cannot be continued here");
        }

        return start ?? throw new FaultException(Fault.EngineFailed, $"the {engine.Kind} engine sent no frame");
    }
}
