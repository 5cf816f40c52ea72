using System.Buffers;

namespace Skein.Engines.OpenAiCompatible.Reasoning;

/// <summary>The reasoning in the structured deltas that a client has got. Immutable.</summary>
/// <param name="Member">Name of the member, as the server has it; empty: there was no reasoning.</param>
/// <param name="Text">The reasoning so far.</param>
internal sealed record DeliveredReasoning(string Member, byte[] Text)
{
    /// <summary>Names that servers have for it, in the order in which one of several counts.</summary>
    public static IReadOnlyList<string> Members { get; } = ["reasoning_content", "reasoning"];

    public static DeliveredReasoning None { get; } = new("", []);

    /// <summary>Reads the deltas; null if they have anything beside reasoning, such as tool calls.</summary>
    /// <param name="deltas">JSON objects one after the other.</param>
    /// <exception cref="FaultException">They are no JSON objects.</exception>
    public static DeliveredReasoning? Of(ReadOnlySpan<byte> deltas)
    {
        if (deltas.IsEmpty)
            return None;

        var member = "";
        var text = new ArrayBufferWriter<byte>();
        var reader = new Utf8JsonReader(deltas, new JsonReaderOptions { AllowMultipleValues = true });
        try
        {
            while (reader.Read())
            {
                var delta = JsonElement.ParseValue(ref reader);
                if (TextIn(delta) is not { } part)
                    return null;

                member = part.Member;
                text.Write(Encoding.UTF8.GetBytes(part.Text));
            }
        }
        catch (JsonException exception)
        {
            throw new FaultException(Fault.ResumeRefused, "resume.raw_deltas are not JSON objects", exception);
        }

        return new DeliveredReasoning(member, text.WrittenSpan.ToArray());
    }

    /// <summary>The reasoning of one delta; null if it has none, or anything else.</summary>
    public static (string Member, string Text)? TextIn(JsonElement delta)
    {
        (string, string)? found = null;
        if (delta.ValueKind != JsonValueKind.Object)
            return null;

        foreach (var member in delta.EnumerateObject())
        {
            if (member.Value.ValueKind == JsonValueKind.Null)
                continue;

            if (member.Value.ValueKind != JsonValueKind.String || !Members.Contains(member.Name))
                return null;

            // Servers that have both names repeat the text.
            found ??= (member.Name, member.Value.GetString()!);
        }

        return found;
    }
}
