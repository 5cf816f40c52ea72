using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>Bodies of OpenAI's chat and completion calls, for new and for resumed answers.</summary>
internal static class TextBody
{
    private const string StreamOptionsMember = "stream_options";

    /// <param name="tokens">Asks for the ids of the answer; null: they are not needed.</param>
    public static ReadOnlyMemory<byte> Of(ServerProfile profile, GenerateRequest request, string model, IChatTokens? tokens = null)
    {
        var body = new RequestJson(VerbatimBytes(request)).Text("model", model).Flag("stream", true).Raw(StreamOptionsMember, StreamOptions(request).Span);
        tokens?.Ask(body, request);
        return Of(profile, request, body);
    }

    /// <summary>The body for an answer that the server does not stream.</summary>
    public static ReadOnlyMemory<byte> OfWhole(ServerProfile profile, GenerateRequest request, string model)
    {
        var body = new RequestJson(VerbatimBytes(request)).Text("model", model).Flag("stream", false);
        return Of(profile, request, request.Echo ? body.Flag("echo", true) : body);
    }

    private static ReadOnlyMemory<byte> Of(ServerProfile profile, GenerateRequest request, RequestJson body)
    {
        body = body
            .Whole("max_tokens", request.HasMaxTokens ? request.MaxTokens - (request.Resume?.NextIndex ?? 0) : null)
            .Texts("stop", request.Stop);
        body = profile.WriteSampling(body, request.Sampling);
        body = request.Chat is { } chat ? Chat(body, profile, chat, request) : Completion(body, request);
        // llama.cpp's own name of max_tokens, which it would prefer.
        return body.Extra(request.Extra.Where(member => member.Name != StreamOptionsMember && !(request.HasMaxTokens && member.Name == "n_predict"))).ToBytes();
    }

    private static int VerbatimBytes(GenerateRequest request) =>
        (request.Chat is { } chat ? chat.Messages.Length + chat.Tools.Length + chat.ResponseFormat.Length : request.Text.Length)
        + request.Extra.Sum(member => member.Name.Length + member.Json.Length + 4);

    private static RequestJson Chat(RequestJson body, ServerProfile profile, ChatPrompt chat, GenerateRequest request)
    {
        body.Raw("messages", Messages(chat, request.Resume, profile.ContinuesLastMessage(request)))
            .Raw("tools", chat.Tools.Span)
            .Raw("tool_choice", chat.ToolChoice.Span)
            .Raw("response_format", chat.ResponseFormat.Span);
        if (request.HasLogprobs)
            body.Flag("logprobs", true).Whole("top_logprobs", request.Logprobs > 0 ? request.Logprobs : null);

        return IsResumed(request) ? profile.WriteContinuation(body) : body;
    }

    private static RequestJson Completion(RequestJson body, GenerateRequest request)
    {
        body.Whole("logprobs", request.HasLogprobs ? request.Logprobs : null);
        if (request.TokenIds is { } ids)
        {
            return IsResumed(request)
                ? throw new FaultException(Fault.ResumeRefused, "prompt is token ids; without the answer's ids only a text can be resumed")
                : body.Ids("prompt", ids.Ids);
        }

        // An echoed prompt is the beginning of the delivered text.
        var delivered = request.Resume?.Text.ToStringUtf8() ?? "";
        return body.Text("prompt", request.Echo && delivered.Length > 0 ? delivered : request.Text + delivered);
    }

    // The client's, with the counts, which the end of every answer needs.
    private static ReadOnlyMemory<byte> StreamOptions(GenerateRequest request)
    {
        var counts = "{\"include_usage\":true}"u8.ToArray();
        var asked = request.Extra.FirstOrDefault(member => member.Name == StreamOptionsMember);
        return asked is not null && JsonShape.IsObject(asked.Json.Span)
            ? RawMembers.Join(RawMembers.Except(JsonElement.Parse(asked.Json.Span), []), counts)
            : counts;
    }

    /// <summary>A completion as the chat that the server makes of it, with what was delivered as the beginning of the answer.</summary>
    public static GenerateRequest AsChat(GenerateRequest request)
    {
        var question = JsonEncodedText.Encode(request.Text).EncodedUtf8Bytes;
        var chat = new GenerateRequest(request)
        {
            Chat = new ChatPrompt { Messages = ByteString.CopyFrom([.. "[{\"role\":\"user\",\"content\":\""u8, .. question, .. "\"}]"u8]) },
            Echo = false,
        };
        // An echoed prompt is the beginning of the delivered text.
        if (request.Echo && chat.Resume is { } resume)
            resume.Text = ByteString.CopyFrom(resume.Text.Span[Encoding.UTF8.GetByteCount(request.Text)..]);

        return chat;
    }

    private static bool IsResumed(GenerateRequest request) => request.Resume is { NextIndex: > 0 };

    private static ReadOnlySpan<byte> Messages(ChatPrompt chat, Resume? resume, bool joins)
    {
        var messages = chat.Messages.Span.TrimEnd(" \t\r\n"u8);
        if (resume is not { NextIndex: > 0 })
            return messages;

        if (joins && ChatJson.Read(chat.Messages) is [.., { Role: "assistant", Text: { } begun }])
            return WithLast(messages, begun + resume.Text.ToStringUtf8());

        var answer = JsonEncodedText.Encode(resume.Text.Span).EncodedUtf8Bytes;
        var before = messages[..^1].TrimEnd(" \t\r\n"u8);
        return (byte[])[.. before, .. (before.EndsWith("["u8) ? ""u8 : ","u8), .. "{\"role\":\"assistant\",\"content\":\""u8, .. answer, .. "\"}]"u8];
    }

    // Servers take two messages of the assistant for two answers, or refuse them.
    private static byte[] WithLast(ReadOnlySpan<byte> messages, string content)
    {
        var all = JsonElement.Parse(messages).EnumerateArray().ToList();
        var last = new RequestJson().Text("content", content);
        foreach (var member in all[^1].EnumerateObject())
            last.Raw(member.Name, JsonMarshal.GetRawUtf8Value(member.Value));

        var before = all[..^1].SelectMany(message => JsonMarshal.GetRawUtf8Value(message).ToArray().Append((byte)','));
        return [(byte)'[', .. before, .. last.ToBytes().Span, (byte)']'];
    }
}
