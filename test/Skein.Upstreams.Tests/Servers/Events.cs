using System.Text.Encodings.Web;
using System.Text.Json;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>Events and bodies as OpenAI-compatible servers write them.</summary>
internal static class Events
{
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A JSON string with its quotes.</summary>
    public static string Quote(string text) => JsonSerializer.Serialize(text, Readable);

    public static string Text(bool isChat, string text) => isChat
        ? Chunk($$"""{"index":0,"delta":{"content":{{Quote(text)}}},"finish_reason":null}""")
        : Chunk($$"""{"index":0,"text":{{Quote(text)}},"finish_reason":null}""", isChat: false);

    public static string Finish(bool isChat, string reason = "stop") => isChat
        ? Chunk($$"""{"index":0,"delta":{},"finish_reason":{{Quote(reason)}}}""")
        : Chunk($$"""{"index":0,"text":"","finish_reason":{{Quote(reason)}}}""", isChat: false);

    public static string Delta(string delta) => Chunk($$"""{"index":0,"delta":{{delta}},"finish_reason":null}""");

    /// <summary>A chunk with one choice.</summary>
    /// <param name="choice">The choice, or nothing: no choices.</param>
    /// <param name="isChat">Of a chat or of a completion.</param>
    /// <param name="members">More members of the chunk, each with a comma before it.</param>
    public static string Chunk(string choice, bool isChat = true, string members = "") =>
        $$"""{"id":"x-1","object":"{{(isChat ? "chat.completion.chunk" : "text_completion")}}","created":1700000001,"model":"{{ScriptedServer.Model}}","choices":[{{choice}}]{{members}}}""";

    public static string Usage(string usage, bool isChat = true) => Chunk("", isChat, $",\"usage\":{usage}");
}
