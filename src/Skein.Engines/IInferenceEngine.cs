namespace Skein.Engines;

/// <summary>One model server, as the replica that hosts it uses it. Implementations are thread-safe.</summary>
/// <remarks>
/// The engine owns the chat template, the tokenizer, the assembly of whole UTF-8 characters, the matching of stop texts (over resumed and new text) and the
/// exact byte at which a resumed answer continues.
/// </remarks>
public interface IInferenceEngine : IAsyncDisposable
{
    /// <summary>Kind of the engine in logs and reports, such as <c>simulated</c> or <c>vllm</c>.</summary>
    string Kind { get; }

    /// <summary>Describes what is served. Cheap after the first call.</summary>
    /// <exception cref="FaultException">The engine cannot be asked.</exception>
    ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken);

    /// <summary>Checks that the engine can serve what it described. By default an engine in this process can.</summary>
    /// <exception cref="FaultException">
    /// The engine cannot. <see cref="Fault.Unreachable"/>, <see cref="Fault.ConnectionLost"/> and <see cref="Fault.EngineTimedOut"/> mean that it did not
    /// answer; all other faults prove that its process runs.
    /// </exception>
    ValueTask CheckAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>
    /// Generates one choice. The first frame carries <see cref="GenerateFrame.Start"/>, the last one
    /// <see cref="GenerateFrame.Finish"/>; token indexes begin at <see cref="Resume.NextIndex"/> (0 without a resume) and have neither gap
    /// nor repeat. The replica sets attempt, choice and load.
    /// </summary>
    /// <param name="request">The engine checks it and refuses what it cannot do. Not changed, and not kept after the last frame.</param>
    /// <param name="cancellationToken">Stops the generation; the enumeration then throws <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="FaultException">The request is refused, or the engine failed.</exception>
    IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Runs a standby attempt: reads the prompt and <see cref="GenerateRequest.Resume"/>, sends the start frame once the engine is warm, waits for the journal
    /// of what was generated in the meantime, and continues after it.
    /// </summary>
    /// <remarks>
    /// The default is for engines that cannot pause: a call for one token, whose output is dropped, fills the engine's prefix cache, and the real call
    /// follows after the wait.
    /// </remarks>
    /// <param name="request">As for <see cref="GenerateAsync"/>.</param>
    /// <param name="continued">
    /// Called once, after the start frame was read. Returns the whole journal, which begins with the request's own; null: nothing was generated. Its
    /// exceptions end the enumeration.
    /// </param>
    /// <param name="cancellationToken">Stops the generation, the wait included.</param>
    /// <exception cref="FaultException">The request is refused, the journal does not fit, or the engine failed.</exception>
    async IAsyncEnumerable<GenerateFrame> GenerateStandbyAsync(
        GenerateRequest request, Func<CancellationToken, Task<Resume?>> continued, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var one = (request.Resume?.NextIndex ?? 0) + 1;
        var warmUp = new GenerateRequest(request) { MaxTokens = request.HasMaxTokens ? Math.Min(request.MaxTokens, one) : one };
        GenerateFrame? start = null;
        await foreach (var frame in GenerateAsync(warmUp, cancellationToken))
        {
            start ??= frame;
            if (start.Start?.ResumeTier == ResumeTier.None)
                throw new FaultException(Fault.ResumeRefused, "hold is true; the resume tier of this request is none: it cannot be continued here");
        }

        yield return start ?? throw new FaultException(Fault.EngineFailed, $"the {Kind} engine sent no frame");
        var rest = new GenerateRequest(request) { Resume = await continued(cancellationToken) };
        await foreach (var frame in GenerateAsync(rest, cancellationToken))
        {
            if (frame.Start is null)
                yield return frame;
        }
    }

    /// <summary>
    /// Passes a call that is not generation to the engine, and its answer back. The first frame carries <see cref="InvokeFrame.Start"/>. By default an engine
    /// has no such calls.
    /// </summary>
    /// <param name="request">Not changed, and not kept after the last frame.</param>
    /// <param name="cancellationToken">Stops the call; the enumeration then throws <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="FaultException">The call is refused, or the engine failed or answered with an error.</exception>
    IAsyncEnumerable<InvokeFrame> InvokeAsync(InvokeRequest request, CancellationToken cancellationToken) => throw new FaultException(
        Fault.Unsupported, $"the {Kind} engine does not serve {request.Path}; allowed: chats and completions");

    /// <summary>
    /// The engine's own work beside requests, such as following the server's list of models, until cancelled. The host runs it once. Default: none.
    /// </summary>
    Task RunAsync(IEngineSlots background, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>The engine's own view of its load. Cheap: called several times a second.</summary>
    ValueTask<EngineLoad> LoadAsync(CancellationToken cancellationToken) => ValueTask.FromResult(EngineLoad.Unknown);
}

/// <summary>What an engine serves. Immutable.</summary>
/// <param name="Models">At least one.</param>
/// <param name="Slots">Requests the engine runs at the same time; null: unknown.</param>
public sealed record EngineDescription(IReadOnlyList<ModelDescription> Models, int? Slots);

/// <summary>An engine's load at one moment.</summary>
/// <param name="KvUsedPermille">Share of the KV cache in use, 0 to 1000; null: unknown.</param>
/// <param name="Waiting">Requests the engine has accepted and not begun; null: unknown.</param>
public readonly record struct EngineLoad(int? KvUsedPermille, int? Waiting)
{
    public static EngineLoad Unknown => default;
}
