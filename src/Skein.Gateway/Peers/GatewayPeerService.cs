using Skein.Gateway.Keys;

namespace Skein.Gateway.Peers;

/// <summary>Answers the other gateways of the group. Thread-safe.</summary>
internal sealed class GatewayPeerService(KeyUseExchange exchange, ApiKeyStore keys) : GatewayPeer.GatewayPeerBase
{
    /// <summary>Path of all its calls.</summary>
    public const string Path = "/skein.v1.GatewayPeer";

    public override Task<KeyUseReport> GetKeyUse(GetKeyUseRequest request, ServerCallContext context) => Task.FromResult(exchange.Report());

    public override Task<TakeStreamResponse> TakeStream(TakeStreamRequest request, ServerCallContext context) =>
        Task.FromResult(new TakeStreamResponse { IsGiven = keys.GivePlace(request.KeyName) });
}
