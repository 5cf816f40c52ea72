using System.Buffers.Text;
using System.Runtime.CompilerServices;
using System.Text.Unicode;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Writes JSON without allocation or checks of the syntax. Ends with <see cref="Complete"/>. <c>Utf8JsonWriter</c> costs 144 ns more per token (258
/// instead of 114), 15 % of the gateway's CPU per token at saturation: <c>bench/Skein.LinkBench json</c>.
/// </summary>
internal ref struct JsonSink(IBufferWriter<byte> output)
{
    private const int MinBlockBytes = 512;

    /// <summary>Stands for negative infinity, as in OpenAI's API: JSON has no infinity.</summary>
    private const float LowestLogprob = -9999;

    private static readonly SearchValues<byte> MustEscape = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(c => (byte)c), (byte)'"', (byte)'\\', 0x7F]);

    private Span<byte> _block;
    private int _used;

    public void Raw(ReadOnlySpan<byte> json)
    {
        Reserve(json.Length);
        json.CopyTo(_block[_used..]);
        _used += json.Length;
    }

    public void Number(long value)
    {
        Reserve(20);
        Utf8Formatter.TryFormat(value, _block[_used..], out var written);
        _used += written;
    }

    public void Number(float value)
    {
        Reserve(32);
        var finite = float.IsFinite(value) ? value : LowestLogprob;
        finite.TryFormat(_block[_used..], out var written, default, System.Globalization.CultureInfo.InvariantCulture);
        _used += written;
    }

    public void Text(string? text)
    {
        if (text is null)
            Raw("null"u8);
        else
            Text(Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Writes a JSON string. Bytes that are not UTF-8 become U+FFFD, so that a broken engine does not break the client's parser.</summary>
    public void Text(ReadOnlySpan<byte> utf8)
    {
        Raw("\""u8);
        Escaped(Utf8.IsValid(utf8) ? utf8 : Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(utf8)));
        Raw("\""u8);
    }

    /// <summary>Writes further members of an object that has some; nothing if there are none.</summary>
    public void Members(ReadOnlySpan<byte> members)
    {
        if (members.IsEmpty)
            return;
        Raw(","u8);
        Raw(members);
    }

    /// <summary>Writes the comma before every element of a list but the first.</summary>
    public void Separate(int index)
    {
        if (index > 0)
            Raw(","u8);
    }

    /// <summary>Advances the output past everything written.</summary>
    public void Complete()
    {
        output.Advance(_used);
        _block = default;
        _used = 0;
    }

    private void Escaped(ReadOnlySpan<byte> utf8)
    {
        while (true)
        {
            var plain = utf8.IndexOfAny(MustEscape);
            if (plain < 0)
            {
                Raw(utf8);
                return;
            }

            Raw(utf8[..plain]);
            Escape(utf8[plain]);
            utf8 = utf8[(plain + 1)..];
        }
    }

    private void Escape(byte value)
    {
        var pair = value switch
        {
            (byte)'"' => "\\\""u8,
            (byte)'\\' => "\\\\"u8,
            (byte)'\n' => "\\n"u8,
            (byte)'\t' => "\\t"u8,
            (byte)'\r' => "\\r"u8,
            _ => default,
        };
        Raw(pair);
        if (!pair.IsEmpty)
            return;
        Reserve(6);
        "\\u00"u8.CopyTo(_block[_used..]);
        Utf8Formatter.TryFormat(value, _block[(_used + 4)..], out _, new StandardFormat('x', 2));
        _used += 6;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Reserve(int bytes)
    {
        if (_block.Length - _used < bytes)
            Grow(bytes);
    }

    private void Grow(int bytes)
    {
        if (_used > 0)
            output.Advance(_used);
        _block = output.GetSpan(Math.Max(bytes, MinBlockBytes));
        _used = 0;
    }
}
