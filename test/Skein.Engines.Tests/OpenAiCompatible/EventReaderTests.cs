using System.Text;
using CsCheck;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;

namespace Skein.Engines.Tests.OpenAiCompatible;

public class EventReaderTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("data: a\n\ndata:b\n\n", "message=a|message=b")]
    [InlineData("data: a\r\n\r\ndata: b\r\n\r\n", "message=a|message=b")]
    [InlineData("data: a\r\rdata: b\r\r", "message=a|message=b")]
    [InlineData("data: a\r\n\ndata: b\r\r\n", "message=a|message=b")]
    [InlineData("\uFEFFdata: a\n\n\uFEFFdata: b\n\n", "message=a")]
    [InlineData("data: a\ndata: b\ndata\n\n", "message=a\nb\n")]
    [InlineData(": comment\n\n:\n: more\ndata: a\n: inside\ndata: b\n\n", "message=a\nb")]
    [InlineData("event: error\ndata: a\n\ndata: b\n\n", "error=a|message=b")]
    [InlineData("event: error\n\ndata: b\n\n", "message=b")]
    [InlineData("event: other\nid: 7\nretry: 1\nunknown: x\ndata: a\n\n", "message=a")]
    [InlineData("data:\n\ndata:  a \n\n", "message=|message= a ")]
    [InlineData("data: a\n\ndata: b\n", "message=a|message=b")]
    [InlineData("data: a\n\ndata: b", "message=a")]
    [InlineData("database: a\n\n", "")]
    [InlineData("", "")]
    public async Task Events_AnyLineEndsInAnySegments_ReadsTheEvents(string text, string events)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        foreach (var size in new[] { 1, 2, 3, 7, 1_000 })
        {
            Assert.Equal(events, string.Join('|', await EventsOf(new Segments(bytes, size))));
        }
    }

    [Fact]
    public async Task Events_AnyDataInAnySegments_IsThatData()
    {
        await Gen.Select(Gen.String[Gen.Char["ab:\u00e9 "], 0, 9_000].Array[0, 5], Gen.Int[1, 5_000]).SampleAsync(async (lines, size) =>
        {
            var text = string.Concat(lines.Select(line => $"data: {line}\r\n\r\n"));

            var read = await EventsOf(new Segments(Encoding.UTF8.GetBytes(text), size));

            Assert.Equal(lines.Select(line => $"message={line}"), read);
        }, iter: 100);
    }

    [Theory]
    [InlineData("data: ", "x", "")]
    [InlineData("", "data: x\n", "")]
    [InlineData("", "a", "")]
    [InlineData("data: ", "x", "\n\n")]
    public async Task Events_EventOverTheBound_FailsAndNamesIt(string before, string repeated, string after)
    {
        var body = new Segments([.. Encoding.UTF8.GetBytes(before), .. Encoding.UTF8.GetBytes(Repeat(repeated, 40 << 20)), .. Encoding.UTF8.GetBytes(after)], 100_000);

        var exception = await Assert.ThrowsAsync<FaultException>(() => EventsOf(body));

        Assert.Equal(Fault.EngineFailed, exception.Fault);
        Assert.Matches("^the engine sent an event of \\d+ bytes or more; allowed: up to 1048576 bytes$", exception.Message);
        Assert.InRange(body.Taken, 1 << 20, 3 << 20);
    }

    [Fact]
    public async Task Events_EventsAtTheBound_AreRead()
    {
        var data = new string('x', EventReader.MostEventBytes - "data: \n".Length);

        var events = await EventsOf(new Segments(Encoding.UTF8.GetBytes($"data: {data}\n\ndata: {data}\n\n"), 10_000));

        Assert.Equal([$"message={data}", $"message={data}"], events);
    }

    private static string Repeat(string text, int bytes) => new StringBuilder().Insert(0, text, bytes / text.Length).ToString();

    private static async Task<List<string>> EventsOf(Stream body)
    {
        var reader = new EventReader();
        var events = new List<string>();
        while ((reader.TryNext() ?? reader.Received(await body.ReadAsync(reader.Room(), Cancellation))) is var step && step != EventStep.End)
        {
            if (step == EventStep.Event)
            {
                events.Add($"{reader.Type}={Encoding.UTF8.GetString(reader.Data)}");
            }
        }

        return events;
    }

    /// <summary>Gives at most so many bytes at a time.</summary>
    private sealed class Segments(byte[] bytes, int size) : MemoryStream(bytes)
    {
        public long Taken => Position;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, size)], cancellationToken);
    }
}
