using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Skein.Protocol.V1;

namespace Skein.GatewayBench.Clients;

/// <summary>Generates over gRPC, streams spread over a few connections as those of several clients are.</summary>
internal sealed class GrpcClient : ILoadClient
{
    private const int Connections = 8;

    private readonly GrpcChannel[] _channels;
    private readonly Inference.InferenceClient[] _clients;
    private readonly ByteString _messages = ByteString.CopyFromUtf8(Prompt.Messages);
    private readonly string _model;

    public GrpcClient(Uri gateway, string model)
    {
        _model = model;
        _channels = [.. Enumerable.Range(0, Connections).Select(_ => Open(gateway))];
        _clients = [.. _channels.Select(channel => new Inference.InferenceClient(channel))];
    }

    public async Task<int> AskAsync(int stream, int tokens, LoadTimes times, CancellationToken cancellationToken)
    {
        var request = new GenerateRequest { Model = _model, Chat = new ChatPrompt { Messages = _messages }, MaxTokens = (uint)tokens };
        using var call = _clients[stream % Connections].Generate(request, cancellationToken: cancellationToken);
        var (received, isFinished) = (0, false);
        while (await call.ResponseStream.MoveNext(cancellationToken))
        {
            var frame = call.ResponseStream.Current;
            received += (int)frame.Count;
            isFinished |= frame.Finish is not null;
        }
        return isFinished ? received : throw new InvalidDataException("the answer ends without a finish frame");
    }

    public void Dispose()
    {
        foreach (var channel in _channels)
            channel.Dispose();
    }

    private static GrpcChannel Open(Uri gateway) => GrpcChannel.ForAddress(gateway, new GrpcChannelOptions
    {
        DisposeHttpClient = true,
        // Connections stay open while the other side is measured.
        HttpHandler = new SocketsHttpHandler
        {
            UseProxy = false, EnableMultipleHttp2Connections = true, ActivityHeadersPropagator = null, PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5),
        },
    });
}
