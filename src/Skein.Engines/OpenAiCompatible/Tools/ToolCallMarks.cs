namespace Skein.Engines.OpenAiCompatible.Tools;

/// <summary>What a model writes at the beginning of a tool call. Immutable.</summary>
/// <param name="Texts">Texts with which a call begins, without white space; not empty.</param>
/// <param name="IsOnlyFirst">Whether they begin a call at the beginning of the content only, because they are no marks of their own, such as a brace.</param>
internal sealed record ToolCallMarks(IReadOnlyList<string> Texts, bool IsOnlyFirst)
{
    private const string SampleName = "nqxz";

    private const string SampleContent = "Cqxz";

    private const int MostMarkCharacters = 64;

    /// <summary>Marks that are one token: their text may be hidden by the server.</summary>
    public IReadOnlyList<uint> Ids { get; init; } = [];

    /// <summary>How whole calls are written; null: it is not known.</summary>
    public ToolCallForm? Form { get; init; }

    /// <summary>The tools of the chats that are rendered to find the marks.</summary>
    public static ReadOnlySpan<byte> SampleTools =>
        """[{"type":"function","function":{"name":"nqxz","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}]"""u8;

    /// <summary>A chat before its answer.</summary>
    public static ReadOnlySpan<byte> SampleQuestion => """[{"role":"user","content":"Hi"}]"""u8;

    /// <summary>
    /// The same chat, whose answer is a text and a call, and which goes on: some servers refuse a call as the last message. Some templates want an id of nine
    /// letters and digits.
    /// </summary>
    public static ReadOnlySpan<byte> SampleMessages =>
        """
        [{"role":"user","content":"Hi"},
        {"role":"assistant","content":"Cqxz","tool_calls":[{"id":"Iqxz00001","type":"function","function":{"name":"nqxz","arguments":"{\"a\":\"b\"}"}}]},
        {"role":"tool","tool_call_id":"Iqxz00001","name":"nqxz","content":"c"}]
        """u8;

    /// <summary>The same chat with two calls, which some templates refuse.</summary>
    public static ReadOnlySpan<byte> SampleMessagesOfTwo =>
        """
        [{"role":"user","content":"Hi"},
        {"role":"assistant","content":"Cqxz","tool_calls":[{"id":"Iqxz00001","type":"function","function":{"name":"nqxz","arguments":"{\"a\":\"b\"}"}},
        {"id":"Iqxz00002","type":"function","function":{"name":"nqxz","arguments":"{\"a\":\"b\"}"}}]},
        {"role":"tool","tool_call_id":"Iqxz00001","name":"nqxz","content":"c"},{"role":"tool","tool_call_id":"Iqxz00002","name":"nqxz","content":"c"}]
        """u8;

    /// <summary>Finds the marks in two rendered chats; null if the template shows no calls of earlier messages.</summary>
    /// <param name="question"><see cref="SampleQuestion"/> with the beginning of an answer.</param>
    /// <param name="called"><see cref="SampleMessages"/>.</param>
    /// <param name="calledTwice"><see cref="SampleMessagesOfTwo"/>; null: the template refuses it.</param>
    public static ToolCallMarks? Find(string question, string called, string? calledTwice = null)
    {
        var answer = question.AsSpan().CommonPrefixLength(called);
        // The tool's name is also in the list of tools before, and may be in the result behind.
        var name = called.IndexOf(SampleName, answer, StringComparison.Ordinal);
        if (name < 0)
            return null;

        // Some templates leave the content of a message with calls out.
        var content = called.IndexOf(SampleContent, answer, StringComparison.Ordinal);
        var from = content >= 0 && content < name ? content + SampleContent.Length : answer;
        var written = called[from..name].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (written.Length == 0)
            return null;

        var form = ToolCallForm.Find(called, from, SampleName, calledTwice);
        if (MarkIn(written[0]) is not { Length: > 0 } first)
            return new ToolCallMarks([written[0][..1]], IsOnlyFirst: true) { Form = form };

        // A model may leave out the first of several marks.
        var further = written.Skip(1).Select(MarkIn).Where(mark => mark.Length > 0 && mark[0] is '<' or '[').Distinct();
        return new ToolCallMarks([first, .. further], IsOnlyFirst: false) { Form = form };
    }

    /// <summary>A rendered chat; null if the template refuses it, which some servers answer with 500.</summary>
    public static async ValueTask<string?> TryRenderAsync(ValueTask<string> rendering)
    {
        try
        {
            return await rendering;
        }
        catch (FaultException refusal) when (refusal.Fault is Fault.InvalidRequest or Fault.EngineFailed or Fault.Unsupported)
        {
            return null;
        }
    }

    /// <summary>Notes the marks that are one token.</summary>
    /// <param name="tokenize">The ids of a text inside an answer.</param>
    public async ValueTask<ToolCallMarks> WithIdsAsync(Func<string, ValueTask<uint[]>> tokenize)
    {
        var ids = new List<uint>();
        foreach (var text in IsOnlyFirst ? [] : Texts)
        {
            if (await tokenize(text) is [var id])
                ids.Add(id);
        }

        return this with { Ids = ids };
    }

    // The part that is the same for all calls; empty if it is nothing but JSON.
    private static string MarkIn(string word)
    {
        var end = word.AsSpan().IndexOfAny("{\"'");
        var mark = end < 0 ? word : word[..end];
        // "[{" is the beginning of a JSON array.
        return mark.Length is > 1 and <= MostMarkCharacters ? mark : "";
    }
}
