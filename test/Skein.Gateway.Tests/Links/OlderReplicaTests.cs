using System.Net;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Links;

/// <summary>During a rolling update a gateway uses replicas of the previous release, which have no bus and ignore unknown fields.</summary>
public sealed class OlderReplicaTests
{
    [Fact]
    public async Task Generate_ReplicaWithoutBus_IsAskedByCalls()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        builder.Services.AddGrpc();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listener => listener.Protocols = HttpProtocols.Http2));
        await using var replica = builder.Build();
        replica.MapGrpcService<CallsOnly>();
        await replica.StartAsync();
        await using var gateway = new GatewaySide(new Uri(replica.Urls.First()).Authority);

        // The first attempt finds out, and the second one knows.
        for (var i = 0; i < 2; i++)
        {
            var frames = await gateway.Read($"prompt {i}").RestAsync();

            Assert.Equal($"prompt {i}", Assert.Single(frames).Finish.MatchedStop);
            Assert.False(gateway.HasBus);
        }
    }

    private sealed class CallsOnly : Inference.InferenceBase
    {
        public override Task Generate(GenerateRequest request, IServerStreamWriter<GenerateFrame> responseStream, ServerCallContext context) =>
            responseStream.WriteAsync(new GenerateFrame { Attempt = request.Attempt, Finish = new Finish { MatchedStop = request.Text } });
    }
}
