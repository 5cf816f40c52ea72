using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;

namespace Skein.Gateway.Tests;

public sealed class GatewayAppTests
{
    private static readonly GatewayOptions Options = new() { Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0) };

    /// <summary>Background loops of a gateway failed without a log line or an effect.</summary>
    [Fact]
    public async Task Stopping_LoopThrows_IsCancelled()
    {
        var failure = new TaskCompletionSource();
        await using var gateway = GatewayApp.Build(Options);
        gateway.Services.GetRequiredService<BackgroundTasks>().Observe(failure.Task);
        var stopping = new TaskCompletionSource();
        await using var registration = gateway.Stopping.Register(stopping.SetResult);

        await gateway.StartAsync(TestContext.Current.CancellationToken);
        Assert.False(gateway.Stopping.IsCancellationRequested);

        failure.SetException(new InvalidOperationException("a bug"));

        await stopping.Task.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Build_PolicyOfAnotherAssembly_IsFoundByItsName()
    {
        var options = Options with { Admission = new AdmissionOptions { Policy = "first-candidate" } };
        Assert.Throws<ArgumentException>(() => GatewayApp.Build(options));

        await using var byOptions = GatewayApp.Build(options with { Policies = [new FirstCandidate()] });
        await using var byServices = GatewayApp.Build(options, builder => builder.Services.AddSingleton<IBalancingPolicy, FirstCandidate>());
    }

    private sealed class FirstCandidate : IBalancingPolicy
    {
        public string Name => "first-candidate";

        public int Pick(in PickContext context) => 0;
    }
}
