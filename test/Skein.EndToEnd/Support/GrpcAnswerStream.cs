using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Skein.Protocol.V1;

namespace Skein.EndToEnd.Support;

/// <summary>The answer of <c>Generate</c>. Fails at the first token index that is not the next one.</summary>
internal sealed class GrpcAnswerStream : IAnswerStream
{
    private readonly GrpcChannel _channel;
    private readonly AsyncServerStreamingCall<GenerateFrame> _call;
    private readonly MemoryStream _text = new();
    private readonly List<uint> _ids = [];
    private readonly PauseWatch _pauses = new();
    private int _pieces;
    private Finish? _finish;

    private GrpcAnswerStream(GrpcChannel channel, AsyncServerStreamingCall<GenerateFrame> call)
    {
        _channel = channel;
        _call = call;
    }

    public string Replica { get; private set; } = "";

    public string? Failovers { get; private set; }

    public TimeSpan LongestPause => _pauses.Longest;

    public static async Task<GrpcAnswerStream> AskAsync(Uri gateway, Question question)
    {
        var channel = GrpcChannel.ForAddress(gateway, new GrpcChannelOptions { HttpHandler = new SocketsHttpHandler { UseProxy = false } });
        var request = new GenerateRequest
        {
            Chat = new ChatPrompt { Messages = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(new[] { new { role = "user", content = question.Text } })) },
            MaxTokens = (uint)question.MaxTokens,
            Sampling = new Sampling { Temperature = question.Temperature, Seed = (ulong)question.Seed },
        };
        var call = new Inference.InferenceClient(channel).Generate(request);
        var stream = new GrpcAnswerStream(channel, call);
        var headers = await Until.DoneAsync(call.ResponseHeadersAsync, "the call's headers");
        stream.Replica = headers.GetValue("x-skein-replica") ?? "";
        return stream;
    }

    public async Task ReadPiecesAsync(int count)
    {
        while (_pieces < count)
            Assert.True(await ReadFrameAsync(), $"the call ended after {_pieces} pieces, before piece {count}");
    }

    public async Task<Answer> ReadToEndAsync()
    {
        while (await ReadFrameAsync())
        {
            // The reader has recorded everything already.
        }
        Failovers = _call.GetTrailers().GetValue("x-skein-failovers");
        Assert.NotNull(_finish);
        Assert.Equal((int)_finish.Usage.CompletionTokens, _ids.Count);
        return new Answer(Encoding.UTF8.GetString(_text.ToArray()), string.Join(' ', _ids), _finish.Reason.ToString(), _ids.Count);
    }

    public ValueTask DisposeAsync()
    {
        _call.Dispose();
        _channel.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<bool> ReadFrameAsync()
    {
        if (!await Until.DoneAsync(_call.ResponseStream.MoveNext(CancellationToken.None), "the next frame", context: () => $"So far: {_ids.Count} tokens"))
            return false;
        var frame = _call.ResponseStream.Current;
        if (frame.Count > 0)
        {
            Assert.Null(_finish);
            Assert.Equal((uint)_ids.Count, frame.FirstIndex);
            Assert.Equal(frame.Count, (uint)frame.TokenIds.Count);
            _ids.AddRange(frame.TokenIds);
            _pieces++;
            _pauses.OnPiece();
        }
        frame.Text.WriteTo(_text);
        _finish = frame.Finish ?? _finish;
        return true;
    }
}
