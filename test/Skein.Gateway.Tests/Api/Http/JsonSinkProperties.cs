using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using CsCheck;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Tests.Api.Http;

public sealed class JsonSinkProperties
{
    [Fact]
    public void Text_AnyBytes_ParseBackToTheirText() =>
        Gen.OneOf(Gen.Byte.Array[0, 2_000], Gen.String.Select(Encoding.UTF8.GetBytes)).Sample(
            bytes =>
            {
                var output = new SmallBlocks();
                var json = new JsonSink(output);
                json.Text(bytes);
                json.Complete();

                Assert.Equal(Encoding.UTF8.GetString(bytes), JsonSerializer.Deserialize<string>(output.Written));
            },
            iter: 5_000);

    [Fact]
    public void Number_AnyFloat_ParsesBackToItself() =>
        Gen.Float.Sample(
            value =>
            {
                var output = new SmallBlocks();
                var json = new JsonSink(output);
                json.Number(value);
                json.Complete();

                var expected = float.IsFinite(value) ? value : -9999;
                Assert.Equal(expected, float.Parse(output.Written, CultureInfo.InvariantCulture));
            },
            iter: 5_000);

    /// <summary>Returns the smallest allowed buffer, so that every growth is tested.</summary>
    private sealed class SmallBlocks : IBufferWriter<byte>
    {
        private readonly ArrayBufferWriter<byte> _bytes = new();
        private byte[] _block = [];

        public ReadOnlySpan<byte> Written => _bytes.WrittenSpan;

        public void Advance(int count) => _bytes.Write(_block.AsSpan(0, count));

        public Memory<byte> GetMemory(int sizeHint = 0) => _block = new byte[Math.Max(1, sizeHint)];

        public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;
    }
}
