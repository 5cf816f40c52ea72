using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using Skein.Engines;
using Skein.Engines.OpenAiCompatible;
using Skein.Gateway.Upstreams;

namespace Skein.Cli.Upstreams;

/// <summary>
/// Keeps one upstream in the gateway's fleet for as long as its server answers. The server is asked again and again, whether it is up or not; each time
/// it comes back it is a new life, and is asked anew what it serves.
/// </summary>
internal sealed partial class Upstream(
    OpenAiEngineOptions server, TimeSpan enginePatience, IUpstreams fleet, Action<WebApplicationBuilder> configure, ILogger logger, TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(2);

    private readonly string _name = UpstreamSettings.NameOf(server.BaseUrl);
    private ulong _generation;

    /// <summary>Runs until it is cancelled; what runs on the upstream then may finish.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            string? told = null;
            while (true)
            {
                await using var replica = await ConnectAsync(told, cancellationToken);
                using var presence = new UpstreamPresence(fleet, replica.Description, replica.Control);
                Log.Served(logger, _name, string.Join(", ", replica.Description.Models), replica.Description.Slots);
                told = await WatchAsync(replica, cancellationToken);
                Log.NotServed(logger, _name, told);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The gateway stops.
        }
    }

    /// <param name="told">The problem that was logged last; the same one is not logged again.</param>
    /// <param name="cancellationToken">Gives up.</param>
    private async Task<UpstreamReplica> ConnectAsync(string? told, CancellationToken cancellationToken)
    {
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                _generation = Math.Max(_generation + 1, (ulong)time.GetUtcNow().ToUnixTimeMilliseconds());
                return await UpstreamReplica.StartAsync(server, enginePatience, _generation, configure, cancellationToken);
            }
            catch (Exception error) when (error is EngineException or ArgumentException or Skein.Serving.Grpc.ReplicaBindException)
            {
                if (error.Message != told)
                    Log.NotServed(logger, _name, told = error.Message);
            }
            await Task.Delay(pause, time, cancellationToken);
        }
    }

    /// <summary>Returns when the server does not answer any more.</summary>
    /// <returns>What is wrong with it.</returns>
    private async Task<string> WatchAsync(UpstreamReplica replica, CancellationToken cancellationToken)
    {
        var checks = new UpstreamChecks(enginePatience);
        while (true)
        {
            await Task.Delay(CheckInterval, time, cancellationToken);
            if (await FailureOfAsync(replica, checks.Patience, cancellationToken) is not { } failure)
                checks.Passed();
            else if (checks.Failed(failure.Error, isBusy: replica.Control.Report().Running > 0))
                return failure.Message;
        }
    }

    private async Task<EngineException?> FailureOfAsync(UpstreamReplica replica, TimeSpan patience, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await replica.CheckAsync(either.Token);
            return null;
        }
        catch (EngineException error)
        {
            return error;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new EngineException(EngineError.TimedOut, $"{server.BaseUrl} did not answer within {patience.TotalSeconds:0.#} s");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4011, LogLevel.Warning, "Upstream {Name} is not served: {Problem}; it is tried again")]
        public static partial void NotServed(ILogger logger, string name, string problem);

        [LoggerMessage(4012, LogLevel.Information, "Upstream {Name} is served: {Models}; {Slots} slots")]
        public static partial void Served(ILogger logger, string name, string models, int slots);
    }
}
