using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Text;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>
/// Generates answers that the server does not stream, or tells more of when it does not. The time of one call is bounded as the silence of a stream.
/// Thread-safe.
/// </summary>
internal sealed class WholeGeneration(EngineHttp http, ServerProfile profile)
{
    /// <summary>The gateway bounds the time without a sign of life. Whether the server runs is asked meanwhile.</summary>
    internal static readonly TimeSpan SignInterval = TimeSpan.FromSeconds(10);

    /// <param name="systemFingerprint">The server's own name for its configuration, if it is known before its answer; empty: it is not.</param>
    public async IAsyncEnumerable<GenerateFrame> RunAsync(
        GenerateRequest request, ModelDescription model, string systemFingerprint, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (request.Resume is { NextIndex: > 0 })
            throw new FaultException(Fault.ResumeRefused, "an answer that its server tells in one piece cannot be resumed");

        yield return AnswerFrames.Start(model, TokenUnit.Chunk, ResumeTier.None, [], resumedAt: 0, echo: [], systemFingerprint);

        var isChat = request.Chat is not null;
        var path = isChat ? "v1/chat/completions" : "v1/completions";
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var call = http.GenerateAsync(path, TextBody.OfWhole(profile, request, model.Name), request, stop.Token).AsTask();
        try
        {
            while (await Task.WhenAny(call, Task.Delay(SignInterval, http.Time, stop.Token)) != call)
            {
                cancellationToken.ThrowIfCancellationRequested();
                yield return AnswerFrames.Alive();
            }

            foreach (var frame in FramesOf(await call, request, isChat, systemFingerprint.Length > 0))
                yield return frame;
        }
        finally
        {
            await stop.CancelAsync();
            // Its failure was thrown above, unless the caller left before.
            await ((Task)call).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private List<GenerateFrame> FramesOf(JsonElement data, GenerateRequest request, bool isChat, bool knowsFingerprint)
    {
        if (data.Elements("choices").FirstOrDefault() is not { ValueKind: JsonValueKind.Object } choice)
            throw new FaultException(Fault.EngineFailed, $"{http.Name}: the answer has no choice");

        // The server echoes and stops; a stop text may also be in the prompt.
        var taken = new GenerateRequest(request) { Echo = false };
        if (!isChat)
            taken.ClearLogprobs();

        var answer = new TextAnswer(taken, http.Name, watchesStops: false) { KnowsFingerprint = knowsFingerprint };
        answer.Note(data);
        var delta = isChat ? TextDelta.OfChat(choice, taken) : TextDelta.OfCompletion(choice, taken);
        if (!delta.End.IsEnd)
            throw new FaultException(Fault.EngineFailed, $"{http.Name}: the answer has no finish_reason");

        // In one frame: made again, it is cut behind what the client has.
        List<GenerateFrame> frames = answer.Add(delta) is { } only ? [only, answer.Finish()] : [answer.Finish()];
        // The form of completions tells the tokens of the prompt, too. Those of chats are one entry a token of the answer.
        if (delta.Logprobs.Count == 0 && choice.Member("logprobs") is { ValueKind: JsonValueKind.Object } logprobs)
            frames[0].RawLogprobs = ByteString.CopyFrom(JsonMarshal.GetRawUtf8Value(logprobs));

        return frames;
    }
}
