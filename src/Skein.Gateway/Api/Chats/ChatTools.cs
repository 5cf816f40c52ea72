using Google.Protobuf;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Chats;

/// <summary>Collects the tools of a request of another API, in the form that engines take. Not thread-safe.</summary>
internal sealed class ChatTools
{
    private readonly ArrayBufferWriter<byte> _functions = new();
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    public bool IsEmpty => _names.Count == 0;

    public bool Contains(string name) => _names.Contains(name);

    /// <summary>Adds a function that the client runs.</summary>
    /// <param name="tool">Where the request defines it.</param>
    /// <param name="description">A JSON string; empty if there is none.</param>
    /// <param name="parameters">A JSON schema; empty if there is none.</param>
    /// <param name="isStrict">Whether calls must follow the schema.</param>
    public void Add(JsonPart tool, string name, ReadOnlySpan<byte> description, ReadOnlySpan<byte> parameters, bool isStrict)
    {
        if (!_names.Add(name))
            throw RequestRefusedException.Invalid($"{tool.Path}.name", "is the name of another tool, too; allowed: each name once");
        var json = new JsonSink(_functions);
        json.Separate(_names.Count - 1);
        json.Raw("{\"type\":\"function\",\"function\":{\"name\":"u8);
        json.Text(name);
        if (!description.IsEmpty)
        {
            json.Raw(",\"description\":"u8);
            json.Raw(description);
        }

        json.Raw(",\"parameters\":"u8);
        json.Raw(parameters.IsEmpty ? "{\"type\":\"object\",\"properties\":{}}"u8 : parameters);
        if (isStrict)
            json.Raw(",\"strict\":true"u8);
        json.Raw("}}"u8);
        json.Complete();
    }

    /// <summary>The tools as a JSON array; empty if there are none.</summary>
    public ByteString ToJson() =>
        IsEmpty ? ByteString.Empty : UnsafeByteOperations.UnsafeWrap((byte[])[(byte)'[', .. _functions.WrittenSpan, (byte)']']);

    /// <summary>The choice of one function.</summary>
    public static ByteString Choose(string name)
    {
        var bytes = new ArrayBufferWriter<byte>(80);
        var json = new JsonSink(bytes);
        json.Raw("{\"type\":\"function\",\"function\":{\"name\":"u8);
        json.Text(name);
        json.Raw("}}"u8);
        json.Complete();
        return UnsafeByteOperations.UnsafeWrap(bytes.WrittenMemory);
    }
}
