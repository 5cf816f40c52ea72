using System.Globalization;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Skein.Engines;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace CustomEngine;

/// <summary>
/// Answers every prompt with the numbers from 1 on. Token i has the id i and the text of i + 1, so the engine continues another one's answer exactly
/// from the index alone.
/// </summary>
/// <param name="tokenDelay">Time between two tokens.</param>
/// <param name="time">Clock of the delay.</param>
public sealed class CountingEngine(TimeSpan tokenDelay, TimeProvider time) : IInferenceEngine
{
    private const string Model = "counting";
    private const string Fingerprint = "counting-1";
    private const uint DefaultMaxTokens = 16;

    /// <inheritdoc/>
    public string Kind => "counting";

    /// <inheritdoc/>
    public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(new EngineDescription([new ModelDescription { Name = Model, Fingerprint = Fingerprint, ContextTokens = 4096 }], Slots: 8));

    /// <inheritdoc/>
    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (request.Model.Length > 0 && request.Model != Model)
            throw new FaultException(Fault.ModelNotFound, $"the model '{request.Model}' is not served here; served: {Model}");
        var maxTokens = request.HasMaxTokens ? request.MaxTokens : DefaultMaxTokens;
        var next = request.Resume?.NextIndex ?? 0;
        yield return new GenerateFrame
        {
            Start = new Start
            {
                Model = Model, Fingerprint = Fingerprint, Unit = TokenUnit.Token, ResumeTier = ResumeTier.Exact, PromptTokens = 1, ResumedAt = next,
            },
        };
        for (; next < maxTokens; next++)
        {
            await Task.Delay(tokenDelay, time, cancellationToken);
            var text = string.Create(CultureInfo.InvariantCulture, $"{next + 1} ");
            yield return new GenerateFrame { FirstIndex = next, Count = 1, TokenIds = { next }, Text = ByteString.CopyFromUtf8(text) };
        }
        yield return new GenerateFrame
        {
            FirstIndex = next,
            Finish = new Finish { Reason = FinishReason.Length, Usage = new Usage { PromptTokens = 1, CompletionTokens = next } },
        };
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
