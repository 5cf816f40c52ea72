using System.Globalization;
using System.Text.Json;
using Skein.Engines.OpenAiCompatible.Proofs;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>Answers what the engine asks to see whether a server continues texts, as a server that does.</summary>
internal static class ProofStory
{
    private const int Words = 30;

    private static readonly string Text = string.Concat(Enumerable.Range(0, Words).Select(Word));

    /// <summary>The stream; null for any other request.</summary>
    public static string? TryAnswer(string path, string body)
    {
        if (!body.Contains("\"stream\":true", StringComparison.Ordinal) || (QuestionIn(body) ?? TextIn(body)) is null)
        {
            return null;
        }

        var isChat = path.EndsWith("/chat/completions", StringComparison.Ordinal);
        var asked = JsonElement.Parse(body);
        var delivered = isChat ? LastOf(asked) : asked.GetProperty("prompt").GetString()![TextIn(body)!.Length..];
        var limit = asked.GetProperty("max_tokens").GetInt32();
        var words = Text[delivered.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(limit).Select(word => word + " ").ToList();
        return string.Concat(words.Select(word => Event(isChat, word, "null")).Append(Event(isChat, "", "\"length\"")).Append("data: [DONE]\n\n"));
    }

    private static string? QuestionIn(string body) => ContinuationProver.Questions.FirstOrDefault(question => body.Contains(question, StringComparison.Ordinal));

    private static string? TextIn(string body) => ContinuationProver.Texts.FirstOrDefault(text => body.Contains(text, StringComparison.Ordinal));

    private static string LastOf(JsonElement asked) => asked.GetProperty("messages").EnumerateArray().Last() is var last
        && last.GetProperty("role").GetString() == "assistant" ? last.GetProperty("content").GetString()! : "";

    private static string Word(int index) => string.Create(CultureInfo.InvariantCulture, $"word{index:00} ");

    private static string Event(bool isChat, string text, string reason) => isChat
        ? $$$"""data: {"choices":[{"index":0,"delta":{"content":"{{{text}}}"},"finish_reason":{{{reason}}}}]}""" + "\n\n"
        : $$$"""data: {"choices":[{"index":0,"text":"{{{text}}}","finish_reason":{{{reason}}}}]}""" + "\n\n";
}
