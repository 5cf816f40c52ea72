using System.Text;
using System.Text.Json;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>Bodies of OpenAI's chat and completion calls, for a new answer and for one that is gone on with.</summary>
internal static class TextBody
{
    public static ReadOnlyMemory<byte> Of(OpenAiEngineKind kind, GenerateRequest request, string model)
    {
        var body = new RequestJson()
            .Text("model", model).Flag("stream", true).Object("stream_options", options => options.Flag("include_usage", true))
            .Whole("max_tokens", request.HasMaxTokens ? request.MaxTokens - (request.Resume?.NextIndex ?? 0) : null)
            .Texts("stop", request.Stop);
        body = kind == OpenAiEngineKind.LlamaCpp ? body.LlamaSampling(request.Sampling) : body.OpenAiSampling(request.Sampling);
        return (request.Chat is { } chat ? Chat(body, kind, chat, request) : Completion(body, request)).Extra(request.Extra).ToBytes();
    }

    private static RequestJson Chat(RequestJson body, OpenAiEngineKind kind, ChatPrompt chat, GenerateRequest request)
    {
        body.Raw("messages", Messages(chat, request.Resume)).Raw("tools", chat.Tools.Span).Raw("tool_choice", chat.ToolChoice.Span)
            .Raw("response_format", chat.ResponseFormat.Span);
        if (request.HasLogprobs)
        {
            body.Flag("logprobs", true).Whole("top_logprobs", request.Logprobs > 0 ? request.Logprobs : null);
        }

        // The others go on with a last message of the assistant without being told to.
        return IsResumed(request) && (kind is OpenAiEngineKind.Vllm or OpenAiEngineKind.SgLang)
            ? body.Flag("continue_final_message", true).Flag("add_generation_prompt", false)
            : body;
    }

    private static RequestJson Completion(RequestJson body, GenerateRequest request)
    {
        body.Whole("logprobs", request.HasLogprobs ? request.Logprobs : null);
        if (request.TokenIds is { } ids)
        {
            return IsResumed(request)
                ? throw new FaultException(Fault.ResumeRefused, "prompt is token ids; without the answer's ids only a text can be gone on with")
                : body.Ids("prompt", ids.Ids);
        }

        // An echoed prompt was delivered as the answer's beginning.
        var delivered = request.Resume?.Text.ToStringUtf8() ?? "";
        return body.Text("prompt", request.Echo && delivered.Length > 0 ? delivered : request.Text + delivered);
    }

    private static bool IsResumed(GenerateRequest request) => request.Resume is { NextIndex: > 0 };

    private static byte[] Messages(ChatPrompt chat, Resume? resume)
    {
        var messages = chat.Messages.Span.TrimEnd(" \t\r\n"u8);
        if (resume is not { NextIndex: > 0 })
        {
            return messages.ToArray();
        }

        var answer = JsonEncodedText.Encode(resume.Text.Span).EncodedUtf8Bytes;
        return [.. messages[..^1], .. ",{\"role\":\"assistant\",\"content\":\""u8, .. answer, .. "\"}]"u8];
    }
}
