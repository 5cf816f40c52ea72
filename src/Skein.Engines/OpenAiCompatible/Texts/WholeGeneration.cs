using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Text;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>
/// Generates answers that the server does not stream, because they have the log probabilities of the prompt: one call, one frame. Thread-safe.
/// </summary>
internal sealed class WholeGeneration(EngineHttp http, ServerProfile profile)
{
    public async IAsyncEnumerable<GenerateFrame> RunAsync(
        GenerateRequest request, ModelDescription model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (request.Resume is { NextIndex: > 0 })
            throw new FaultException(Fault.ResumeRefused, "an answer with the log probabilities of its prompt comes whole and cannot be resumed");

        yield return AnswerFrames.Start(model, TokenUnit.Chunk, ResumeTier.None, [], resumedAt: 0, echo: []);

        var isChat = request.Chat is not null;
        var path = isChat ? "v1/chat/completions" : "v1/completions";
        var data = await http.GenerateAsync(path, TextBody.OfWhole(profile, request, model.Name), request, cancellationToken);
        if (data.Elements("choices").FirstOrDefault() is not { ValueKind: JsonValueKind.Object } choice)
            throw new FaultException(Fault.EngineFailed, $"{http.Name}: the answer has no choice");

        // The server echoes and stops; a stop text may also be in the prompt.
        var taken = new GenerateRequest(request) { Echo = false };
        taken.Stop.Clear();
        taken.ClearLogprobs();
        var answer = new TextAnswer(taken, http.Name);
        answer.Note(data);
        var frame = answer.Add(isChat ? TextDelta.OfChat(choice, taken) : TextDelta.OfCompletion(choice, taken));
        if (!answer.HasEnded)
            throw new FaultException(Fault.EngineFailed, $"{http.Name}: the answer has no finish_reason");

        var last = answer.Finish();
        frame?.Logprobs.Clear();
        if (choice.Member("logprobs") is { ValueKind: JsonValueKind.Object } logprobs)
            (frame ?? last).RawLogprobs = ByteString.CopyFrom(JsonMarshal.GetRawUtf8Value(logprobs));

        if (frame is not null)
            yield return frame;

        yield return last;
    }
}
