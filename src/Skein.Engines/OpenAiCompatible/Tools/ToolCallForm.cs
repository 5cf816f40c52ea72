using System.Buffers;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Tools;

/// <summary>
/// How a model writes its tool calls, for an answer whose calls the server's own parser cannot read because ids continued it. Only calls whose arguments are
/// one JSON object are known. White space does not count. Immutable.
/// </summary>
/// <param name="Before">Text in front of the first name.</param>
/// <param name="Between">Text between a name and its arguments.</param>
/// <param name="After">Text behind the arguments of the last call, and whatever follows the answer.</param>
/// <param name="Next">Text between the arguments of a call and the name of the next one; null: there is one call at most.</param>
internal sealed record ToolCallForm(string Before, string Between, string After, string? Next)
{
    private const int MostCalls = 128;

    /// <summary>Finds the form in a rendered chat; null if its arguments are no JSON object.</summary>
    /// <param name="called">A chat with one call of <paramref name="name"/>.</param>
    /// <param name="from">Where the call begins.</param>
    /// <param name="calledTwice">The same chat with another such call behind the first one; null: the template refuses it.</param>
    public static ToolCallForm? Find(string called, int from, string name, string? calledTwice)
    {
        var first = called.IndexOf(name, from, StringComparison.Ordinal);
        if (first < 0 || ArgumentsAt(called, first + name.Length) is not { } one)
            return null;

        var form = new ToolCallForm(called[from..first], called[(first + name.Length)..one.Start], called[one.End..], Next: null);
        // Both chats are the same up to the second call.
        return calledTwice is not null && calledTwice.AsSpan().StartsWith(called.AsSpan(0, one.End))
            && calledTwice.IndexOf(name, one.End, StringComparison.Ordinal) is var second and > 0
            && ArgumentsAt(calledTwice, second + name.Length) is not null
            ? form with { Next = calledTwice[one.End..second] }
            : form;
    }

    /// <summary>Reads the calls of an answer.</summary>
    /// <param name="text">The answer from the beginning of its first call.</param>
    /// <returns>A delta with all calls; empty: they have another form, or are cut.</returns>
    public ReadOnlyMemory<byte> Read(string text)
    {
        var calls = new ArrayBufferWriter<byte>();
        var at = 0;
        for (var count = 0; count < MostCalls && TrySkip(text, count == 0 ? Before : Next ?? "", ref at); count++)
        {
            var name = at;
            while (at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] is '_' or '-' or '.'))
                at++;

            var end = at;
            if (end == name || !TrySkip(text, Between, ref at) || ArgumentsAt(text, at) is not { } arguments || arguments.Start != SkipBlanks(text, at))
                return default;

            calls.Write(count == 0 ? "{\"tool_calls\":["u8 : ","u8);
            calls.Write(CallOf(count, text[name..end], text[arguments.Start..arguments.End]).Span);
            at = arguments.End;
            if (IsBeginningOfAfter(text[at..]))
            {
                calls.Write("]}"u8);
                return calls.WrittenMemory;
            }

            if (Next is null)
                return default;
        }

        return default;
    }

    private static ReadOnlyMemory<byte> CallOf(int index, string name, string arguments) => new RequestJson()
        .Whole("index", index)
        .Text("id", $"call_{Guid.NewGuid():n}")
        .Text("type", "function")
        .Object("function", function => function.Text("name", name).Text("arguments", arguments))
        .ToBytes();

    /// <summary>The first JSON object behind a place, if nothing but marks and white space is in front of it.</summary>
    private static (int Start, int End)? ArgumentsAt(string text, int from)
    {
        var start = text.IndexOf('{', from);
        if (start < 0)
            return null;

        var bytes = Encoding.UTF8.GetBytes(text[start..]);
        try
        {
            var reader = new Utf8JsonReader(bytes, isFinalBlock: false, state: default);
            return reader.Read() && reader.TrySkip() ? (start, start + Encoding.UTF8.GetCharCount(bytes, 0, (int)reader.BytesConsumed)) : null;
        }
        catch (JsonException)
        {
            return null; // The model wrote something else.
        }
    }

    private static int SkipBlanks(string text, int at)
    {
        while (at < text.Length && char.IsWhiteSpace(text[at]))
            at++;

        return at;
    }

    private static bool TrySkip(string text, string mark, ref int at)
    {
        var place = at;
        foreach (var character in mark)
        {
            if (char.IsWhiteSpace(character))
                continue;

            place = SkipBlanks(text, place);
            if (place == text.Length || text[place++] != character)
                return false;
        }

        at = SkipBlanks(text, place);
        return true;
    }

    // The end token of the answer is not in its text. What closes a bracket of the call's own is.
    private bool IsBeginningOfAfter(string rest)
    {
        var at = 0;
        var written = string.Concat(rest.Where(character => !char.IsWhiteSpace(character)));
        foreach (var character in After)
        {
            if (char.IsWhiteSpace(character))
                continue;

            if (at == written.Length)
                return at > 0 || character is not ('}' or ']' or '"');

            if (written[at++] != character)
                return false;
        }

        return at == written.Length;
    }
}
