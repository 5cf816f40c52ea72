using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Gateway;
using Skein.Serving.Grpc;
using Skein.Routing.Fleet;

namespace Skein.Cli.Members;

/// <summary>
/// One answer through the whole of it in small, inside this process: a gateway and two replicas of its own, one of which dies in mid-sentence. What is
/// compiled at its first use would else make the first client wait, and the first failover take ten times as long as the second.
/// </summary>
internal static partial class Rehearsal
{
    /// <summary>It comes before the gateway joins its group: on a starved machine that is worth more.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private const string Model = "rehearsal";

    /// <summary>Never fails: a gateway that could not rehearse is only slower at first.</summary>
    public static async Task RunAsync(ILogger logger, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(limit, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        await WarmUp.MembershipAsync(logger, either.Token);
        try
        {
            await PlayAsync(either.Token);
            Log.Done(logger);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The gateway stops.
        }
        catch (OperationCanceledException)
        {
            Log.Late(logger, limit.TotalSeconds);
        }
        catch (Exception error)
        {
            Log.Failed(logger, error);
        }
    }

    private static async Task PlayAsync(CancellationToken cancellationToken)
    {
        string[] names = ["rehearsal-1", "rehearsal-2"];
        var options = new GatewayOptions { Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), Upstreams = names, StopTimeout = TimeSpan.Zero };
        await using var gateway = GatewayApp.Build(options, CountApart);
        await gateway.StartAsync(cancellationToken);
        await using var first = await DoomedReplica.StartAsync(gateway, names[0], cancellationToken);
        await using var second = await DoomedReplica.StartAsync(gateway, names[1], cancellationToken);

        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{gateway.Http}/v1/chat/completions");
        request.Content = JsonContent.Create(new JsonObject
        {
            ["model"] = Model,
            ["stream"] = true,
            ["max_tokens"] = 12,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Hello" }),
        });
        using var response = await http.SendAsync(request, cancellationToken);
        var answer = await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync(cancellationToken);
        if (!answer.Contains("failovers=1", StringComparison.Ordinal) || !answer.Contains("[DONE]", StringComparison.Ordinal))
            throw new InvalidOperationException($"the rehearsed answer was not failed over once, or has no end: {answer}");
        await gateway.StopAsync(cancellationToken);
    }

    // What is rehearsed must not show in the real gateway's metrics, which are collected by name in the whole process.
    private static void CountApart(WebApplicationBuilder builder) => builder.Services.AddSingleton<IMeterFactory, ApartMeters>();

    private sealed class ApartMeters : IMeterFactory
    {
        private readonly List<Meter> _meters = [];

        public Meter Create(MeterOptions options)
        {
            var meter = new Meter($"Rehearsal.{options.Name}");
            _meters.Add(meter);
            return meter;
        }

        public void Dispose() => _meters.ForEach(meter => meter.Dispose());
    }

    /// <summary>Cuts its connections in the middle of an answer that it began itself.</summary>
    private sealed class DoomedReplica : IAsyncDisposable
    {
        private readonly IInferenceEngine _engine;
        private readonly ReplicaApp _app;
        private Task _death = Task.CompletedTask;

        private DoomedReplica()
        {
            var options = new SimulatedEngineOptions { Model = Model, EnableFaults = true, Faults = [new SimulatedFault(SimulatedFaultKind.Crash, At: 2)] };
            _engine = SimulatedEngineFactory.Create(options, TimeProvider.System, () => _death = _app!.AbortAsync());
            _app = ReplicaApp.Build(new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0), Slots = 1 }, _engine);
        }

        public static async Task<DoomedReplica> StartAsync(GatewayApp gateway, string name, CancellationToken cancellationToken)
        {
            var replica = new DoomedReplica();
            await replica._app.StartAsync(cancellationToken);
            gateway.Upstreams.Up(new ReplicaDescription { Id = new ReplicaId(name, 1), Address = replica._app.Endpoint.ToString(), Models = [Model], Slots = 1 });
            return replica;
        }

        public async ValueTask DisposeAsync()
        {
            await _death;
            await _app.AbortAsync();
            await _app.DisposeAsync();
            await _engine.DisposeAsync();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4020, LogLevel.Debug, "The first answers and the first failover are rehearsed")]
        public static partial void Done(ILogger logger);

        [LoggerMessage(4022, LogLevel.Debug, "The rehearsal was not over within {Seconds} s; the first answers may be late")]
        public static partial void Late(ILogger logger, double seconds);

        [LoggerMessage(4021, LogLevel.Warning, "The rehearsal of a failover failed; the first answers may be late")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
