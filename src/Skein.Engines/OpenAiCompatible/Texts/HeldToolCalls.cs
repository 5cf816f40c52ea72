using System.Buffers;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>
/// The tool calls of one answer, held back until it ends: a client cannot use half a call, and a call that was not sent can be generated again if the
/// server is lost. Not safe for concurrent use.
/// </summary>
internal sealed class HeldToolCalls(string engine)
{
    /// <summary>Most bytes of all calls of an answer; the journal of an answer has the same bound.</summary>
    internal const int MostBytes = 1 << 20;

    internal const int MostCalls = 128;

    private readonly List<Call> _calls = [];
    private GrowingObject? _older;
    private int _bytes;

    /// <summary>Adds the tool call pieces of a delta.</summary>
    /// <exception cref="FaultException">It is not an array of objects, or the calls exceed their bounds.</exception>
    public void Add(JsonElement pieces)
    {
        if (pieces.ValueKind != JsonValueKind.Array)
            throw Broken($"tool_calls is {pieces.ValueKind}; allowed: an array of objects");

        foreach (var piece in pieces.EnumerateArray())
        {
            if (piece.ValueKind != JsonValueKind.Object)
                throw Broken($"tool_calls contains {piece.ValueKind}; allowed: objects");

            Grow(CallOf(piece).Json, piece);
        }
    }

    /// <summary>Adds a piece of <c>function_call</c>, the older form with one call per answer.</summary>
    /// <exception cref="FaultException">It is not an object, or the calls exceed their bounds.</exception>
    public void AddOlder(JsonElement piece)
    {
        if (piece.ValueKind != JsonValueKind.Object)
            throw Broken($"function_call is {piece.ValueKind}; allowed: an object");

        Grow(_older ??= new GrowingObject(), piece);
    }

    /// <summary>The whole calls, numbered without a gap, as one delta; empty if there are none.</summary>
    public ReadOnlySpan<byte> ToDelta()
    {
        if (_calls.Count == 0 && _older is null)
            return default;

        var output = new ArrayBufferWriter<byte>(_bytes + 64);
        using var writer = new Utf8JsonWriter(output);
        writer.WriteStartObject();
        if (_older is not null)
        {
            writer.WritePropertyName("function_call");
            _older.WriteTo(writer);
        }

        if (_calls.Count > 0)
        {
            writer.WriteStartArray("tool_calls");
            foreach (var (index, call) in _calls.OrderBy(call => call.Index).Index())
            {
                call.Json.Set("index", JsonSerializer.SerializeToUtf8Bytes(index));
                call.Json.WriteTo(writer);
            }

            writer.WriteEndArray();
        }

        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenSpan;
    }

    private void Grow(GrowingObject call, JsonElement piece)
    {
        _bytes += call.Add(piece);
        if (_bytes > MostBytes)
            throw Broken($"the tool calls of one answer are over {MostBytes} bytes");
    }

    // Some servers give all calls the same index, or none: then a new id begins a new call.
    private Call CallOf(JsonElement piece)
    {
        var index = piece.Whole("index");
        var id = piece.Text("id") ?? "";
        var call = index is null ? _calls.LastOrDefault() : _calls.FindLast(known => known.Index == index);
        if (call is null || (id.Length > 0 && call.Id.Length > 0 && id != call.Id))
        {
            if (_calls.Count == MostCalls)
                throw Broken($"the answer has more than {MostCalls} tool calls");

            call = new Call(index ?? (_calls.Count > 0 ? _calls[^1].Index : 0));
            _calls.Add(call);
        }

        call.Id = id.Length > 0 ? id : call.Id;
        return call;
    }

    private FaultException Broken(string what) => new(Fault.EngineFailed, $"{engine}: {what}");

    private sealed class Call(int index)
    {
        public int Index => index;

        public string Id { get; set; } = "";

        public GrowingObject Json { get; } = new();
    }
}
