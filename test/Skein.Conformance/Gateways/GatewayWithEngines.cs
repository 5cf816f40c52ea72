using Skein.Conformance.Engines;
using Skein.EndToEnd.Support;

namespace Skein.Conformance.Gateways;

/// <summary>A gateway process in front of scripted engines.</summary>
internal sealed class GatewayWithEngines : IAsyncDisposable
{
    private GatewayWithEngines(UpstreamGateway gateway, IReadOnlyList<ScriptedEngine> engines) => (Gateway, Engines) = (gateway, engines);

    public UpstreamGateway Gateway { get; }

    public IReadOnlyList<ScriptedEngine> Engines { get; }

    public string Http => Gateway.Client.BaseAddress!.ToString().TrimEnd('/');

    /// <summary>Requests of clients to all engines.</summary>
    public IEnumerable<ChatCall> Asked => Engines.SelectMany(engine => engine.Asked);

    /// <summary>Starts them, and waits until all engines are served.</summary>
    /// <param name="trap">Stops the first engine that is about to send a certain piece.</param>
    /// <param name="slots">Slots of each engine.</param>
    /// <param name="queueLength">Requests that may wait.</param>
    public static async Task<GatewayWithEngines> StartAsync(
        Func<ChatCall, Reply> script, int engines = 1, DeathTrap? trap = null, int slots = 8, int queueLength = 64)
    {
        var started = new List<ScriptedEngine>();
        try
        {
            for (var i = 0; i < engines; i++)
                started.Add(await ScriptedEngine.StartAsync(script, trap));
            var gateway = await UpstreamGateway.StartAsync(started.Select(engine => engine.Url), "--upstream-slots", $"{slots}", "--queue-timeout", "3s", "--queue-length", $"{queueLength}");
            foreach (var engine in started)
                await gateway.MemberAsync($"{engine.Url.Host}:{engine.Url.Port}", "alive");
            return new GatewayWithEngines(gateway, started);
        }
        catch
        {
            foreach (var engine in started)
                await engine.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a client while the server that answers it dies in the middle of <see cref="SdkScript.Story"/>.</summary>
    /// <param name="engines">1: no other server is left.</param>
    /// <param name="runAsync">Given the gateway's address.</param>
    public static async Task<T> WhileServerDiesAsync<T>(int engines, Func<string, Task<T>> runAsync)
    {
        var trap = DeathTrap.At(SdkScript.PieceOfDeath);
        await using var setting = await StartAsync(SdkScript.Answer, engines, trap);
        var running = runAsync(setting.Http);
        await setting.WhenStreamingAsync(); // a server that dies may take with it what nobody has read yet
        await trap.EndCaughtAsync();
        return await running;
    }

    /// <summary>Waits until the gateway has sent the first token of an answer on.</summary>
    private Task<string> WhenStreamingAsync() => Until.FoundAsync(
        async () => (await Gateway.Client.GetStringAsync("/metrics")).Split('\n').FirstOrDefault(line =>
            line.StartsWith("gen_ai_server_time_to_first_token_seconds_count", StringComparison.Ordinal)),
        "a first token in the metrics");

    public async ValueTask DisposeAsync()
    {
        await Gateway.DisposeAsync();
        foreach (var engine in Engines)
            await engine.DisposeAsync();
    }
}
