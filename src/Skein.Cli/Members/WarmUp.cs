using System.Net;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Skein.Cli.Settings;
using Skein.Protocol.V1;
using Skein.Simulation.Membership;

namespace Skein.Cli.Members;

/// <summary>
/// A short answer through a replica's own front door, and its end once more as if another replica had begun it, before the group knows it. What is
/// compiled at its first use would else keep the first client waiting, on a busy machine so long that the gateway takes the silence for a dead replica.
/// </summary>
internal static partial class WarmUp
{
    private const uint WindowBytes = 64 << 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <exception cref="CommandFailedException">The engine cannot answer.</exception>
    public static async Task RunAsync(IPEndPoint endpoint, string model, CancellationToken cancellationToken)
    {
        using var channel = GrpcChannel.ForAddress($"http://{Reachable(endpoint)}", new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { UseProxy = false }, DisposeHttpClient = true, ThrowOperationCanceledOnCancellation = true,
        });
        var request = new GenerateRequest { RequestId = "warm-up", Model = model, Text = "Hello", MaxTokens = 4, Sampling = new Sampling { Temperature = 1, Seed = 1 } };
        using var patience = new CancellationTokenSource(Patience, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            using var bus = new Inference.InferenceClient(channel).Bus(cancellationToken: either.Token);
            (var begun, var refusal) = await AskAsync(bus, 1, request, either.Token);
            if (refusal is not null)
                throw new CommandFailedException($"the engine does not answer: {refusal.Message}");
            // Not every engine resumes, and not in the last token: what it says to that does not matter.
            await AskAsync(bus, 2, new GenerateRequest(request) { Attempt = 2, Resume = begun }, either.Token);
            await bus.RequestStream.CompleteAsync();
        }
        catch (RpcException error)
        {
            throw new CommandFailedException($"the engine does not answer: {error.Status.Detail}", error);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // A pace of a token in seconds is allowed, and by now all is warm.
        }
    }

    /// <summary>
    /// The death and the return of a member of a little group in virtual time: the same core that runs in this process, and all of its members meet a death
    /// at the same moment. Never fails: a member that is not warm is only slower at first.
    /// </summary>
    public static async Task MembershipAsync(ILogger logger, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Run(() => MembershipScenarios.Run("process-killed", new ScenarioSettings { Members = 3, Runs = 1 }), cancellationToken).WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // It stops, or this takes too long.
        }
        catch (Exception error)
        {
            Log.MembershipFailed(logger, error);
        }
    }

    /// <returns>The answer without its last token, and the status it ended with where that was not OK.</returns>
    private static async Task<(Resume Begun, Google.Rpc.Status? Refusal)> AskAsync(
        AsyncDuplexStreamingCall<BusOrders, BusFrames> bus, ulong stream, GenerateRequest request, CancellationToken cancellationToken)
    {
        await bus.RequestStream.WriteAsync(new BusOrders { Start = { new BusStart { Stream = stream, WindowBytes = WindowBytes, Request = request } } }, cancellationToken);
        var begun = new Resume();
        var next = new Resume();
        await foreach (var message in bus.ResponseStream.ReadAllAsync(cancellationToken))
        {
            foreach (var frame in message.Frames)
            {
                if (frame.Start is { } start)
                {
                    next.Fingerprint = start.Fingerprint;
                    next.PromptTokenIds.AddRange(start.PromptTokenIds);
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

    private static IPEndPoint Reachable(IPEndPoint endpoint) =>
        endpoint.Address.Equals(IPAddress.Any) ? new IPEndPoint(IPAddress.Loopback, endpoint.Port)
        : endpoint.Address.Equals(IPAddress.IPv6Any) ? new IPEndPoint(IPAddress.IPv6Loopback, endpoint.Port)
        : endpoint;

    private static partial class Log
    {
        [LoggerMessage(4023, LogLevel.Warning, "The warm-up of membership failed; the first death in the group may be late to know")]
        public static partial void MembershipFailed(ILogger logger, Exception exception);
    }
}
