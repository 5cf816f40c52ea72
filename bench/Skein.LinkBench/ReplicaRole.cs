using System.Net;
using Skein.Serving.Grpc;

namespace Skein.LinkBench;

/// <summary>A replica process: prints its address in one line and serves until its standard input ends.</summary>
internal static class ReplicaRole
{
    public static async Task<int> RunAsync()
    {
        await using var engine = new PacedEngine();
        await using var app = ReplicaApp.Build(new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) }, engine);
        await app.StartAsync();
        Console.WriteLine(app.Endpoint);
        await Console.In.ReadToEndAsync();
        // Open streams are not waited for.
        await app.StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return 0;
    }
}
