using System.Net;
using Skein.Engines.Simulated;
using Skein.Serving.Grpc;

namespace Skein.Load.Tests;

public class SkeinBenchTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Run_SimulatedReplica_IsExact()
    {
        var report = await RunAsync(new SimulatedEngineOptions(), options => options with { Requests = 60, Concurrency = 8, Temperature = 1 });

        Assert.Empty(report.Errors);
        Assert.Equal((60, 60L * 64, false), (report.Succeeded, report.Tokens, report.TokensAreChunks));
    }

    [Fact]
    public async Task Run_MoreThanTheSlots_CountsTheRefusals()
    {
        var report = await RunAsync(
            new SimulatedEngineOptions { Slots = 1, TokensPerSecond = 2000 },
            options => options with { Requests = 20, Concurrency = 4, Prompts = ["only one"] });

        Assert.True(report.Errors["grpc ResourceExhausted"] > 0);
        Assert.True(report.Succeeded > 0);
    }

    [Fact]
    public async Task Run_EngineThatFails_CountsTheReason()
    {
        var engine = new SimulatedEngineOptions { EnableFaults = true, Faults = [new(SimulatedFaultKind.Error, At: 3)] };

        var failure = await Assert.ThrowsAsync<BenchException>(() => RunAsync(engine, options => options));

        Assert.EndsWith("answered none of 8 reference requests; grpc Internal ENGINE_FAILED: simulated error at token 3", failure.Message);
    }

    private static async Task<BenchReport> RunAsync(SimulatedEngineOptions engineOptions, Func<BenchOptions, BenchOptions> change)
    {
        await using var engine = SimulatedEngineFactory.Create(engineOptions, TimeProvider.System);
        await using var replica = ReplicaApp.Build(new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) }, engine);
        await replica.StartAsync();
        var options = change(new BenchOptions { Target = new Uri($"grpc://{replica.Endpoint}") });
        return await Bench.RunAsync(options, TimeProvider.System).WaitAsync(Deadline);
    }
}
