using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

public sealed class CloseTests
{
    private const int Callers = 4;

    /// <summary>A replica whose start was interrupted: its gateways had connected already, and each of their calls became an error with a stack.</summary>
    [Fact]
    public async Task Dispose_WithoutStop_WhileCallersAsk_LogsNoError()
    {
        using var log = new ErrorLines();
        for (var round = 0; round < 3; round++)
        {
            var replica = ReplicaApp.Build(
                new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) },
                new ScriptedEngine(),
                // A replica that stops is not healthy.
                builder => builder.Logging.AddProvider(log).AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None));
            await replica.StartAsync(TestContext.Current.CancellationToken);
            using var answered = new CountdownEvent(Callers);
            var callers = Enumerable.Range(0, Callers).Select(_ => Task.Run(() => AskUntilGoneAsync(replica.Endpoint, answered))).ToList();
            answered.Wait(TestReplica.Deadline, TestContext.Current.CancellationToken);

            await replica.DisposeAsync();
            await Task.WhenAll(callers);
        }

        Assert.True(log.Lines.Count == 0, string.Join("\n", log.Lines));
    }

    private static async Task AskUntilGoneAsync(IPEndPoint endpoint, CountdownEvent answered)
    {
        using var channel = GrpcChannel.ForAddress($"http://{endpoint}");
        var client = new Inference.InferenceClient(channel);
        try
        {
            for (var calls = 0; ; calls++)
            {
                await client.DescribeAsync(new DescribeRequest(), deadline: TimeProvider.System.GetUtcNow().UtcDateTime + TestReplica.Deadline);
                if (calls == 0)
                    answered.Signal();
            }
        }
        catch (RpcException gone)
        {
            Assert.NotEqual(StatusCode.DeadlineExceeded, gone.StatusCode);
        }
    }
}
