using System.Text;
using Google.Protobuf.Collections;
using Skein.Engines.Embedded.Chat;
using Skein.Engines.Embedded.Model;
using Skein.Engines.Embedded.Sampling;
using Skein.Engines.Embedded.Tokens;
using Skein.Engines.Text;
using Skein.Protocol.V1;

namespace Skein.Engines.Embedded.Generation;

/// <summary>Checks requests and turns them into plans. Pure but for <paramref name="drawSeed"/>; safe for concurrent use.</summary>
internal sealed class RequestPlanner(ModelDescription model, Vocabulary vocabulary, ChatFormat? chat, Func<ulong> drawSeed)
{
    private const int MostStops = 16;
    private const int MostStopBytes = 1_024;
    private const uint MostTopLogprobs = 20;

    private readonly int _contextTokens = (int)model.ContextTokens;

    /// <exception cref="EngineException">The request cannot be served; the message names the field, its value and what is allowed.</exception>
    public GenerationPlan Plan(GenerateRequest request)
    {
        CheckWhatIsAsked(request);
        CheckFingerprint(request.Resume);
        var prompt = ReadPrompt(request);
        return new GenerationPlan(
            prompt,
            request.Echo ? EchoOf(request, prompt) : [],
            ReadMaxTokens(request, prompt.Length),
            ReadStops(request.Stop),
            SamplingRules.From(request.Sampling, vocabulary.Count, drawSeed),
            ReadTopLogprobs(request),
            request.Resume);
    }

    private void CheckWhatIsAsked(GenerateRequest request)
    {
        if (request.Model.Length > 0 && request.Model != model.Name)
        {
            throw new EngineException(EngineError.ModelNotFound, $"the model '{request.Model}' is not served here; served: {model.Name}");
        }

        if (request.N > 1)
        {
            throw Refusal.Field("n", request.N, "1: an engine makes one choice at a time");
        }

        if (request.Hold)
        {
            throw new EngineException(EngineError.Unsupported, "hold is true; the embedded engine cannot wait for a Continue");
        }

        if (request.Echo && request.PromptCase == GenerateRequest.PromptOneofCase.Chat)
        {
            throw Refusal.Field("echo", "true", "false for a chat");
        }
    }

    private void CheckFingerprint(Resume? resume)
    {
        var hasIds = resume is not null && (resume.TokenIds.Count > 0 || resume.PromptTokenIds.Count > 0);
        if (hasIds && resume!.Fingerprint != model.Fingerprint)
        {
            throw Refusal.Resume($"resume.fingerprint is '{resume.Fingerprint}'; ids can be resumed here from '{model.Fingerprint}' only");
        }
    }

    private int[] ReadPrompt(GenerateRequest request)
    {
        if (request.PromptCase == GenerateRequest.PromptOneofCase.None)
        {
            throw Refusal.Field("prompt", "missing", "a text, token ids or a chat");
        }

        if (request.Resume is { PromptTokenIds.Count: > 0 } resume)
        {
            return CheckedIds(resume.PromptTokenIds, "resume.prompt_token_ids");
        }

        return request.PromptCase switch
        {
            GenerateRequest.PromptOneofCase.TokenIds => CheckedIds(request.TokenIds.Ids, "prompt.token_ids"),
            GenerateRequest.PromptOneofCase.Text => EncodeText(request.Text),
            _ => EncodeChat(request.Chat),
        };
    }

    private int[] EncodeText(string text)
    {
        RefuseHopeless(text.Length);
        int[] ids = vocabulary.Begin is { } begin ? [begin, .. vocabulary.Encode(text)] : [.. vocabulary.Encode(text)];
        return ids.Length > 0 ? ids : throw Refusal.Field("prompt", "empty", "a text of at least one token");
    }

    private int[] EncodeChat(ChatPrompt prompt)
    {
        if (chat is null)
        {
            var message = $"the model '{model.Name}' has no chat template that the embedded engine knows; allowed: a text or token prompt";
            throw new EngineException(EngineError.Unsupported, message);
        }

        var messages = ChatMessages.Read(prompt);
        RefuseHopeless(messages.Count + messages.Sum(message => (long)message.Content.Length));
        return [.. chat.Render(messages)];
    }

    // A text of so many characters has at least so many tokens: no need to tokenize megabytes to know that they do not fit.
    private void RefuseHopeless(long characters)
    {
        var least = characters / vocabulary.LongestTokenBytes;
        if (least > _contextTokens)
        {
            throw Refusal.Context(_contextTokens, $"a prompt of more than {least}");
        }
    }

    private int[] CheckedIds(RepeatedField<uint> ids, string field)
    {
        if (ids.Count == 0)
        {
            throw Refusal.Field(field, "empty", "at least one id");
        }

        var wrong = ids.TakeWhile(id => id < vocabulary.Count).Count();
        return wrong == ids.Count
            ? [.. ids.Select(id => (int)id)]
            : throw Refusal.Field($"{field}[{wrong}]", ids[wrong], $"0 to {vocabulary.Count - 1}");
    }

    private int ReadMaxTokens(GenerateRequest request, int promptTokens)
    {
        var room = _contextTokens - promptTokens;
        if (!request.HasMaxTokens)
        {
            return room > 0 ? room : throw Refusal.Context(_contextTokens, $"a prompt of {promptTokens} and at least 1 for the answer");
        }

        return request.MaxTokens <= room
            ? (int)request.MaxTokens
            : throw Refusal.Context(_contextTokens, $"a prompt of {promptTokens} and max_tokens {request.MaxTokens}");
    }

    private static string[] ReadStops(RepeatedField<string> stops)
    {
        if (stops.Count > MostStops)
        {
            throw Refusal.Field("stop", $"{stops.Count} texts", $"at most {MostStops}");
        }

        for (var i = 0; i < stops.Count; i++)
        {
            var size = Encoding.UTF8.GetByteCount(stops[i]);
            if (size is 0 or > MostStopBytes)
            {
                throw Refusal.Field($"stop[{i}]", $"{size} bytes long", $"1 to {MostStopBytes}");
            }
        }

        return [.. stops];
    }

    private static int? ReadTopLogprobs(GenerateRequest request) => !request.HasLogprobs ? null
        : request.Logprobs <= MostTopLogprobs ? (int)request.Logprobs
        : throw Refusal.Field("logprobs", request.Logprobs, $"0 to {MostTopLogprobs}");

    private byte[] EchoOf(GenerateRequest request, int[] prompt)
    {
        if (request.PromptCase == GenerateRequest.PromptOneofCase.Text)
        {
            return Encoding.UTF8.GetBytes(request.Text);
        }

        var text = new AnswerText([]);
        foreach (var id in prompt)
        {
            text.Append(vocabulary.AnswerBytesOf(id));
        }

        text.Flush();
        return text.Take().ToArray();
    }
}
