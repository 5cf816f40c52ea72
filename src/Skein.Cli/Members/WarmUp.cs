using System.Net;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Skein.Protocol.V1;
using Skein.Serving.Security;

namespace Skein.Cli.Members;

/// <summary>
/// Before a replica joins its group, generates a short answer through the replica's own gRPC endpoint, and resumes it at its last token. Without this the first
/// client would wait for the JIT compiler. On a busy machine that takes so long that the gateway would consider the replica lost.
/// </summary>
internal static partial class WarmUp
{
    private const uint WindowBytes = 64 << 10;
    private static readonly ByteString Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hello"}]""");
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>Opens a connection of a replica to itself.</summary>
    /// <param name="keys">Keys that it asks its callers for; null: none.</param>
    /// <param name="identity">Its certificate; null: its gRPC is not encrypted.</param>
    public static GrpcChannel Connect(IPEndPoint endpoint, LinkKeys? keys, TlsIdentity? identity)
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        if (identity is not null)
        {
            // It knows its own certificate. As a client it shows the same one, for servers that ask for one.
            handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.GetCertHashString() == identity.Certificate.GetCertHashString();
            handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, _, _) => identity.Certificate;
        }
        var http = new HttpClient(handler) { Timeout = System.Threading.Timeout.InfiniteTimeSpan };
        if (keys is not null)
            http.DefaultRequestHeaders.Add("authorization", keys.Authorization);
        return GrpcChannel.ForAddress($"{(identity is null ? "http" : "https")}://{Reachable(endpoint)}", new GrpcChannelOptions
        {
            HttpClient = http, DisposeHttpClient = true, ThrowOperationCanceledOnCancellation = true,
        });
    }

    /// <summary>Generates, and logs if the engine cannot answer now: it may be busy, or serve other calls only.</summary>
    /// <param name="connection">Disposed at the end.</param>
    public static async Task RunAsync(GrpcChannel connection, ModelDescription model, ILogger logger, CancellationToken cancellationToken)
    {
        using var channel = connection;
        var sampling = new Sampling { Temperature = 1, Seed = 1 };
        var request = new GenerateRequest { RequestId = "warm-up", Model = model.Name, MaxTokens = 4, Sampling = sampling };
        var text = new GenerateRequest(request) { Text = "Hello" };
        using var timeout = new CancellationTokenSource(Timeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            using var bus = new Inference.InferenceClient(channel).Bus(cancellationToken: either.Token);
            request = model.Chat ? new GenerateRequest(request) { Chat = new ChatPrompt { Messages = Messages } } : text;
            (var begun, var refusal) = await AskAsync(bus, 1, request, either.Token);
            // Some servers have chats only, and some models no template for them: which one is not always known.
            if (refusal is not null && model.Chat)
                (begun, refusal) = await AskAsync(bus, 3, request = text, either.Token);
            if (refusal is not null)
            {
                Log.Refused(logger, refusal.Message);
                return;
            }
            // Not every engine can resume an answer, or resume it at the last token: a refusal does not matter.
            await AskAsync(bus, 2, new GenerateRequest(request) { Attempt = 2, Resume = begun }, either.Token);
            await bus.RequestStream.CompleteAsync();
        }
        catch (Exception broken) when (cancellationToken.IsCancellationRequested && broken is (RpcException or ObjectDisposedException or IOException))
        {
            // The call that the stop breaks does not always say that it was cancelled.
            throw new OperationCanceledException("stopped during the warm-up", broken, cancellationToken);
        }
        catch (RpcException error) when (!cancellationToken.IsCancellationRequested)
        {
            Log.Refused(logger, error.Status.Detail);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // A slow engine is allowed; the code is compiled by now.
        }
    }

    /// <returns>The journal without its last token, and the status of the end if it was not OK.</returns>
    private static async Task<(Resume Begun, Google.Rpc.Status? Refusal)> AskAsync(
        AsyncDuplexStreamingCall<BusOrders, BusFrames> bus, ulong stream, GenerateRequest request, CancellationToken cancellationToken)
    {
        var start = new BusStart { Stream = stream, WindowBytes = WindowBytes, Request = request };
        await bus.RequestStream.WriteAsync(new BusOrders { Start = { start } }, cancellationToken);
        var begun = new Resume();
        var next = new Resume();
        await foreach (var message in bus.ResponseStream.ReadAllAsync(cancellationToken))
        {
            foreach (var frame in message.Frames)
            {
                if (frame.Start is { } begin)
                {
                    next.Fingerprint = begin.Fingerprint;
                    next.PromptTokenIds.AddRange(begin.PromptTokenIds);
                }
                if (frame.Count > 0)
                    begun = next.Clone();
                next.NextIndex += frame.Count;
                next.TokenIds.AddRange(frame.TokenIds);
                next.Text = ByteString.CopyFrom([.. next.Text.Span, .. frame.Text.Span]);
            }
            if (message.Ends.FirstOrDefault(end => end.Stream == stream) is { } end)
                return (begun, end.Status.IsEmpty ? null : Google.Rpc.Status.Parser.ParseFrom(end.Status));
        }
        throw new CommandFailedException("the engine does not answer: its replica closed the bus");
    }

    private static partial class Log
    {
        [LoggerMessage(4004, LogLevel.Warning, "The engine did not answer a short request at the start: {Problem}. It is served all the same")]
        public static partial void Refused(ILogger logger, string problem);
    }

    private static IPEndPoint Reachable(IPEndPoint endpoint) =>
        endpoint.Address.Equals(IPAddress.Any) ? new IPEndPoint(IPAddress.Loopback, endpoint.Port)
        : endpoint.Address.Equals(IPAddress.IPv6Any) ? new IPEndPoint(IPAddress.IPv6Loopback, endpoint.Port)
        : endpoint;
}
