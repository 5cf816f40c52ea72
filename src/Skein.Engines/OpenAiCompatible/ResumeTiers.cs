using System.Text.Json;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>How well an answer can be resumed: the table of docs/engines.md as code. Pure.</summary>
internal static class ResumeTiers
{
    /// <summary>Members that only name, count or time: whatever they say, the tokens are the same.</summary>
    private static readonly HashSet<string> Harmless = new(StringComparer.Ordinal)
    {
        "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "cache_prompt", "timings_per_token", "priority",
        "parallel_tool_calls",
    };

    /// <summary>Members that bind the answer to a grammar, whose state is lost with the engine.</summary>
    private static readonly HashSet<string> Grammars = new(StringComparer.Ordinal)
    {
        "grammar", "json_schema", "response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "regex",
        "ebnf", "structural_tag", "tools", "functions",
    };

    /// <summary>For an answer that is made from and of token ids.</summary>
    public static ResumeTier OfTokens(OpenAiEngineKind kind, bool isBitExact, GenerateRequest request)
    {
        if (HasGrammar(request))
        {
            return ResumeTier.None;
        }

        var isPlain = request.Extra.All(member => Harmless.Contains(member.Name)) && !(kind != OpenAiEngineKind.LlamaCpp && CountsAnswerOnly(request.Sampling));
        return !isPlain ? ResumeTier.Text : isBitExact && IsGreedy(request.Sampling) ? ResumeTier.Exact : ResumeTier.Tokens;
    }

    /// <summary>For an answer of which only the text is known.</summary>
    public static ResumeTier OfText(GenerateRequest request) =>
        HasGrammar(request) || (request.Chat is { } chat && (HasTools(chat) || ChatShape.Of(chat).EndsWithAssistant)) ? ResumeTier.None : ResumeTier.Text;

    /// <summary>Whether the model may call tools.</summary>
    public static bool HasTools(ChatPrompt chat) => !chat.Tools.IsEmpty && !chat.ToolChoice.Span.SequenceEqual("\"none\""u8);

    /// <summary>Whether the answer is bound to JSON or a schema.</summary>
    public static bool HasResponseFormat(ChatPrompt chat) => !chat.ResponseFormat.IsEmpty && FormatOf(chat.ResponseFormat.Span) != "text";

    private static bool HasGrammar(GenerateRequest request) =>
        request.Extra.Any(member => Grammars.Contains(member.Name)) || (request.Chat is { } chat && HasResponseFormat(chat));

    /// <summary>Whether there is nothing to draw.</summary>
    public static bool IsGreedy(Sampling? sampling) => sampling is { HasTemperature: true, Temperature: 0 } or { HasTopK: true, TopK: 1 };

    // vLLM and SGLang hold these against generated tokens only; a resumed prefix is prompt to them. llama.cpp looks at the last tokens of both.
    private static bool CountsAnswerOnly(Sampling? sampling) =>
        sampling is not null
        && (sampling.PresencePenalty != 0 || sampling.FrequencyPenalty != 0 || sampling is { HasRepetitionPenalty: true, RepetitionPenalty: not 1 });

    private static string? FormatOf(ReadOnlySpan<byte> json)
    {
        try
        {
            var format = JsonElement.Parse(json);
            return format.Text("type");
        }
        catch (JsonException exception)
        {
            throw new FaultException(Fault.InvalidRequest, $"response_format is no JSON: {exception.Message}", exception);
        }
    }
}
