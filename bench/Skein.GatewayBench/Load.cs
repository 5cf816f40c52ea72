using Skein.GatewayBench.Processes;

namespace Skein.GatewayBench;

/// <summary>API that the load is sent to.</summary>
internal enum ClientApi
{
    /// <summary>Streamed <c>/v1/chat/completions</c> over HTTP/1.1.</summary>
    Sse,

    /// <summary><c>skein.v1.Inference/Generate</c>.</summary>
    Grpc,
}

/// <summary>How the streams of a load are made.</summary>
internal enum LoadShape
{
    /// <summary>One long answer per stream, tokens as fast as the gateway takes them.</summary>
    Saturated,

    /// <summary>One answer per stream at <see cref="Load.PacedTokensPerSecond"/>.</summary>
    Paced,

    /// <summary>The same with so many streams that 10,000 tokens a second come.</summary>
    Busy,

    /// <summary>Answers of one token, one after the other.</summary>
    Requests,
}

/// <summary>One load, the same for both builds.</summary>
/// <param name="Name">Name on the command line and in the report.</param>
/// <param name="Setup">Processes that serve it.</param>
/// <param name="Api">API that the clients use.</param>
/// <param name="Shape">Shape of the streams.</param>
internal sealed record Load(string Name, SetupKind Setup, ClientApi Api, LoadShape Shape)
{
    /// <summary>Tokens per second of a paced stream.</summary>
    public const int PacedTokensPerSecond = 20;

    /// <summary>All loads, those of one setup next to each other.</summary>
    public static IReadOnlyList<Load> All { get; } =
    [
        new("sse-saturated", SetupKind.Group, ClientApi.Sse, LoadShape.Saturated),
        new("grpc-saturated", SetupKind.Group, ClientApi.Grpc, LoadShape.Saturated),
        new("sse-requests", SetupKind.Group, ClientApi.Sse, LoadShape.Requests),
        new("grpc-requests", SetupKind.Group, ClientApi.Grpc, LoadShape.Requests),
        new("sse-paced", SetupKind.PacedGroup, ClientApi.Sse, LoadShape.Paced),
        new("grpc-paced", SetupKind.PacedGroup, ClientApi.Grpc, LoadShape.Paced),
        new("upstream-saturated", SetupKind.Upstream, ClientApi.Sse, LoadShape.Saturated),
        new("upstream-requests", SetupKind.Upstream, ClientApi.Sse, LoadShape.Requests),
        new("upstream-paced", SetupKind.Upstream, ClientApi.Sse, LoadShape.Paced),
        new("upstream-busy", SetupKind.Upstream, ClientApi.Sse, LoadShape.Busy),
    ];

    /// <summary>Streams that are open at the same time.</summary>
    public int Streams => Shape switch
    {
        LoadShape.Saturated => 64,
        LoadShape.Paced => 200,
        LoadShape.Busy => 500,
        _ => 16,
    };

    /// <summary>Whether the tokens come at <see cref="PacedTokensPerSecond"/>.</summary>
    public bool IsPaced => Shape is LoadShape.Paced or LoadShape.Busy;

    /// <summary>What the CPU time is divided by: <c>token</c> or <c>request</c>.</summary>
    public string Unit => Shape == LoadShape.Requests ? "request" : "token";

    /// <summary>Name of the model that is asked for.</summary>
    public string Model => Setup != SetupKind.Upstream ? "simulated" : IsPaced ? ScriptedServer.PacedModel : ScriptedServer.ImmediateModel;

    /// <returns>The load with this name; null if there is none.</returns>
    public static Load? Find(string name) => All.FirstOrDefault(load => string.Equals(load.Name, name, StringComparison.Ordinal));
}
