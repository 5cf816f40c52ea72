using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using Skein.Load.Measuring;
using Skein.Protocol.V1;

namespace Skein.Load.Targets;

/// <summary>A Skein gateway or replica, through gRPC.</summary>
internal sealed class SkeinTarget : IBenchTarget
{
    private readonly BenchOptions _options;
    private readonly GrpcChannel _channel;
    private readonly Inference.InferenceClient _client;

    public SkeinTarget(BenchOptions options)
    {
        _options = options;
        var scheme = options.Target.Scheme == "grpcs" ? "https" : "http";
        _channel = GrpcChannel.ForAddress($"{scheme}://{options.Target.Authority}", new GrpcChannelOptions
        {
            MaxReceiveMessageSize = null,
            DisposeHttpClient = true,
            ThrowOperationCanceledOnCancellation = true,
            HttpClient = TargetHttp.Create(options.Key, options.Tls),
        });
        _client = new Inference.InferenceClient(_channel);
    }

    public string Model => _options.Model;

    public async Task AskAsync(string prompt, AnswerRecorder answer, CancellationToken cancellationToken)
    {
        try
        {
            using var call = _client.Generate(Request(prompt), cancellationToken: cancellationToken);
            while (await call.ResponseStream.MoveNext(cancellationToken))
                Take(call.ResponseStream.Current, answer);
            answer.OnDone();
            answer.OnFailovers(FailoverNote.Read(call.GetTrailers().GetValue(FailoverNote.Trailer) ?? ""));
        }
        catch (RpcException exception)
        {
            throw new BenchRequestException(KindOf(exception), exception.Status.Detail, exception);
        }
    }

    public void Dispose() => _channel.Dispose();

    private static void Take(GenerateFrame frame, AnswerRecorder answer)
    {
        if (frame.Count > 0)
        {
            answer.OnIndexes(frame.FirstIndex, frame.Count);
            answer.OnTokens(frame.Text.ToStringUtf8());
        }
        else if (!frame.Text.IsEmpty)
            answer.OnText(frame.Text.ToStringUtf8());
        if (frame.Finish is { } finish)
        {
            answer.OnFinish();
            if (finish.Usage is { } usage)
                answer.OnUsage((int)usage.CompletionTokens);
        }
    }

    private static string KindOf(RpcException exception)
    {
        var info = exception.GetRpcStatus()?.GetDetail<ErrorInfo>();
        return info is null && exception.Status.DebugException is not null
            ? BenchErrors.Connection
            : BenchRequestException.KindOf($"grpc {exception.StatusCode}", info?.Reason);
    }

    private GenerateRequest Request(string prompt) => new()
    {
        Model = Model,
        Chat = new ChatPrompt
        {
            Messages = ByteString.CopyFrom(
                JsonSerializer.SerializeToUtf8Bytes([new OpenAiMessage("user", prompt)], OpenAiJson.Default.OpenAiMessageArray)),
        },
        MaxTokens = (uint)_options.MaxTokens,
        Sampling = new Sampling { Temperature = _options.Temperature, Seed = _options.Seed },
        Extra = { _options.Extra.Select(member => new RawMember { Name = member.Key, Json = ByteString.CopyFromUtf8(member.Value.GetRawText()) }) },
    };
}
