using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines;

/// <summary>
/// One model server, seen from the replica that hosts it. Implementations are safe for concurrent calls.
/// </summary>
/// <remarks>
/// The engine owns what only it can know: the chat template, the tokenizer, the assembly of whole UTF-8 characters, the matching of stop
/// texts (over prefix and new text alike) and the exact byte at which a resumed answer goes on.
/// </remarks>
public interface IInferenceEngine : IAsyncDisposable
{
    /// <summary>Kind of the engine as it is named in configuration and metrics, such as <c>simulated</c>.</summary>
    string Kind { get; }

    /// <summary>Tells what is served. Cheap after the first call.</summary>
    /// <exception cref="FaultException">The engine cannot be asked.</exception>
    ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Asks whether it could serve now what it described, for those who wait for it to come back. Default: an engine in this process can.
    /// </summary>
    /// <exception cref="FaultException">
    /// It cannot. With <see cref="Fault.Unreachable"/>, <see cref="Fault.ConnectionLost"/> or <see cref="Fault.EngineTimedOut"/> where it did not answer: to
    /// the watch over frozen engines all others are signs of life.
    /// </exception>
    ValueTask CheckAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>
    /// Generates one choice. The first frame carries <see cref="GenerateFrame.Start"/>, the last one
    /// <see cref="GenerateFrame.Finish"/>; token indexes begin at <see cref="Resume.NextIndex"/> (0 without a resume) and have neither gap
    /// nor repeat. The engine fills neither attempt, choice nor load: the replica does.
    /// </summary>
    /// <param name="request">Checked by the engine: it refuses what it cannot do. Not changed, and not kept after the last frame.</param>
    /// <param name="cancellationToken">Stops the generation; the enumeration then throws <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="FaultException">The request is refused, or the engine failed.</exception>
    IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Generates as <see cref="GenerateAsync"/> does, with a wait in it: reads the prompt and what <see cref="GenerateRequest.Resume"/> holds, sends
    /// the start frame once the engine is warm, then waits until it is told what was generated in the meantime, and goes on behind that.
    /// </summary>
    /// <remarks>
    /// By default for engines that cannot wait in the middle: a call for one token, whose output is thrown away, fills the engine's prefix cache,
    /// and the real call comes after the wait.
    /// </remarks>
    /// <param name="request">As for <see cref="GenerateAsync"/>.</param>
    /// <param name="continued">
    /// Called once, after the start frame was taken. Returns the whole journal, of which the request's own is the beginning; null: nothing was
    /// generated. What it throws ends the enumeration.
    /// </param>
    /// <param name="cancellationToken">Stops the generation, the wait included.</param>
    /// <exception cref="FaultException">The request is refused, the journal does not fit, or the engine failed.</exception>
    IAsyncEnumerable<GenerateFrame> HoldAsync(
        GenerateRequest request, Func<CancellationToken, Task<Resume?>> continued, CancellationToken cancellationToken) =>
        WarmedGeneration.RunAsync(this, request, continued, cancellationToken);

    /// <summary>Forwards a call that is not generation (embeddings, rerank, tokenize) as raw JSON. Most engines have none.</summary>
    /// <exception cref="FaultException">With <see cref="Fault.Unsupported"/> where the engine has no such call.</exception>
    ValueTask<ReadOnlyMemory<byte>> InvokeAsync(string path, ReadOnlyMemory<byte> body, CancellationToken cancellationToken) =>
        throw new FaultException(Fault.Unsupported, $"the {Kind} engine has no call '{path}'");

    /// <summary>The engine's own view of its load. Cheap: called several times a second.</summary>
    ValueTask<EngineLoad> LoadAsync(CancellationToken cancellationToken) => ValueTask.FromResult(EngineLoad.Unknown);
}

/// <summary>What an engine serves. Immutable.</summary>
/// <param name="Models">At least one.</param>
/// <param name="Slots">Requests the engine runs at the same time; null where it does not say.</param>
public sealed record EngineDescription(IReadOnlyList<ModelDescription> Models, int? Slots);

/// <summary>An engine's load at one moment.</summary>
/// <param name="KvUsedPermille">Share of the KV cache in use, 0 to 1000; null where unknown.</param>
/// <param name="Waiting">Requests the engine has accepted and not begun; null where unknown.</param>
public readonly record struct EngineLoad(int? KvUsedPermille, int? Waiting)
{
    /// <summary>The engine tells nothing.</summary>
    public static EngineLoad Unknown => default;
}
