using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Skein.Cli.Settings;
using Skein.Protocol.V1;

namespace Skein.Cli.Members;

/// <summary>
/// A short answer through a replica's own front door, before the group knows it. What is compiled at its first use would else keep the
/// first client waiting, on a busy machine so long that the gateway takes the silence for a dead replica.
/// </summary>
internal static class WarmUp
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <exception cref="CommandFailedException">The engine cannot answer.</exception>
    public static async Task RunAsync(IPEndPoint endpoint, string model, CancellationToken cancellationToken)
    {
        using GrpcChannel channel = GrpcChannel.ForAddress($"http://{Reachable(endpoint)}", new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { UseProxy = false }, DisposeHttpClient = true, ThrowOperationCanceledOnCancellation = true,
        });
        var request = new GenerateRequest { RequestId = "warm-up", Model = model, Text = "Hello", MaxTokens = 4, Sampling = new Sampling { Temperature = 1 } };
        using var patience = new CancellationTokenSource(Patience, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            using AsyncServerStreamingCall<GenerateFrame> call = new Inference.InferenceClient(channel).Generate(request, cancellationToken: either.Token);
            await foreach (GenerateFrame _ in call.ResponseStream.ReadAllAsync(either.Token))
            {
                // What it says does not matter.
            }
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

    private static IPEndPoint Reachable(IPEndPoint endpoint) =>
        endpoint.Address.Equals(IPAddress.Any) ? new IPEndPoint(IPAddress.Loopback, endpoint.Port)
        : endpoint.Address.Equals(IPAddress.IPv6Any) ? new IPEndPoint(IPAddress.IPv6Loopback, endpoint.Port)
        : endpoint;
}
