using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Google.Protobuf;
using Skein.Gateway.Api.OpenAi.Answers;
using Skein.Protocol.V1;

namespace Skein.LinkBench;

/// <summary>
/// What one chunk of a streamed chat costs: the gateway's own writer against <see cref="Utf8JsonWriter"/>, in turns, one token per chunk.
/// Both write the constant head of the chunk as bytes; only the choice differs.
/// </summary>
internal static class JsonComparison
{
    private const int Rounds = 15;
    private const int Tokens = 1_000_000;
    private const int TokensPerFlush = 64;

    private static readonly byte[] Head =
    [
        .. """{"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":"""u8,
        .. """946684800,"model":"tiny","system_fingerprint":"fp-1","choices":["""u8,
    ];

    public static int Run()
    {
        var frames = new[] { "Once", " upon", " a", " time", ",", "\n", " \"she", "é" }
            .Select((text, index) => new GenerateFrame
            {
                Attempt = 1, FirstIndex = (uint)index, Count = 1, TokenIds = { 7 }, Text = ByteString.CopyFromUtf8(text),
            }).ToArray();
        var own = new List<double>();
        var library = new List<double>();
        for (var round = -1; round < Rounds; round++)
        {
            var ours = Measure("own", new OwnWriter().Write, frames);
            var theirs = Measure("Utf8JsonWriter", new LibraryWriter().Write, frames);
            if (round < 0)
                continue; // the first round is the JIT's
            own.Add(ours);
            library.Add(theirs);
        }
        own.Sort();
        library.Sort();
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"median of {Rounds}: own {own[Rounds / 2]:0} ns/token, Utf8JsonWriter {library[Rounds / 2]:0} ns/token, "
            + $"difference {library[Rounds / 2] - own[Rounds / 2]:0} ns"));
        return 0;
    }

    private static double Measure(string name, Action<GenerateFrame, IBufferWriter<byte>> write, GenerateFrame[] frames)
    {
        var output = new ArrayBufferWriter<byte>(1 << 20);
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < Tokens; i++)
        {
            write(frames[i & 7], output);
            if (i % TokensPerFlush == 0)
                output.ResetWrittenCount();
        }
        var nanoseconds = Stopwatch.GetElapsedTime(started).TotalNanoseconds / Tokens;
        var bytes = (double)(GC.GetAllocatedBytesForCurrentThread() - allocated) / Tokens;
        Console.WriteLine(FormattableString.Invariant($"{name}: {nanoseconds:0} ns and {bytes:0.0} B allocated per token"));
        return nanoseconds;
    }

    private sealed class OwnWriter
    {
        private readonly ChunkWriter _chunks = new(
            new AnswerPlan(AnswerFormat.Chat, "tiny", 1, 1, WithLogprobs: false, IncludeUsage: false, 946684800, EchoedCharacters: [], CallsFunctions: false),
            "0123456789abcdef0123456789abcdef");

        public OwnWriter() => _chunks.Write(new GenerateFrame { Start = new Start { Model = "tiny", Fingerprint = "fp-1" } }, new ArrayBufferWriter<byte>());

        public void Write(GenerateFrame frame, IBufferWriter<byte> output) => _chunks.Write(frame, output);
    }

    private sealed class LibraryWriter : IDisposable
    {
        private static readonly JsonEncodedText Index = JsonEncodedText.Encode("index");
        private static readonly JsonEncodedText Delta = JsonEncodedText.Encode("delta");
        private static readonly JsonEncodedText Content = JsonEncodedText.Encode("content");
        private static readonly JsonEncodedText Logprobs = JsonEncodedText.Encode("logprobs");
        private static readonly JsonEncodedText FinishReason = JsonEncodedText.Encode("finish_reason");

        private readonly Utf8JsonWriter _json = new(
            new ArrayBufferWriter<byte>(), new JsonWriterOptions { SkipValidation = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

        public void Write(GenerateFrame frame, IBufferWriter<byte> output)
        {
            output.Write("data: "u8);
            output.Write(Head);
            _json.Reset(output);
            _json.WriteStartObject();
            _json.WriteNumber(Index, frame.Choice);
            _json.WriteStartObject(Delta);
            _json.WriteString(Content, frame.Text.Span);
            _json.WriteEndObject();
            _json.WriteNull(Logprobs);
            _json.WriteNull(FinishReason);
            _json.WriteEndObject();
            _json.Flush();
            output.Write("]}\n\n"u8);
        }

        public void Dispose() => _json.Dispose();
    }
}
