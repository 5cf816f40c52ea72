using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>
/// Writes one request body. What the client sent besides is added last and verbatim, but for names that were written before: those are ours. Values
/// that are absent write nothing.
/// </summary>
internal sealed class RequestJson
{
    private readonly ArrayBufferWriter<byte> _body = new();
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    public RequestJson Text(string name, string value) => Raw(name, JsonSerializer.SerializeToUtf8Bytes(value));

    public RequestJson Flag(string name, bool value) => Raw(name, value ? "true"u8 : "false"u8);

    public RequestJson Whole(string name, long? value) => Raw(name, value?.ToString(CultureInfo.InvariantCulture));

    public RequestJson Number(string name, double? value) => Raw(name, value?.ToString("R", CultureInfo.InvariantCulture));

    public RequestJson Ids(string name, IEnumerable<uint> ids) => Raw(name, $"[{string.Join(',', ids)}]");

    public RequestJson Texts(string name, IReadOnlyCollection<string> texts) =>
        texts.Count == 0 ? this : Raw(name, JsonSerializer.SerializeToUtf8Bytes(texts));

    public RequestJson Object(string name, Action<RequestJson> members)
    {
        var inner = new RequestJson();
        members(inner);
        return Raw(name, inner.ToBytes().Span);
    }

    /// <summary>JSON as it is.</summary>
    public RequestJson Raw(string name, ReadOnlySpan<byte> json)
    {
        if (!json.IsEmpty && _names.Add(name))
        {
            _body.Write(_body.WrittenCount == 0 ? "{"u8 : ","u8);
            _body.Write(JsonSerializer.SerializeToUtf8Bytes(name));
            _body.Write(":"u8);
            _body.Write(json);
        }

        return this;
    }

    public RequestJson Extra(IEnumerable<RawMember> members)
    {
        foreach (var member in members)
        {
            Raw(member.Name, member.Json.Span);
        }

        return this;
    }

    /// <summary>The whole body. Nothing can be added after it.</summary>
    public ReadOnlyMemory<byte> ToBytes()
    {
        _body.Write(_body.WrittenCount == 0 ? "{}"u8 : "}"u8);
        return _body.WrittenMemory;
    }

    private RequestJson Raw(string name, string? json) => json is null ? this : Raw(name, Encoding.UTF8.GetBytes(json));
}
