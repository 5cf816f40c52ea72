using System.Text.Json;
using System.Text.Json.Serialization;

namespace Skein.Operations.Supervision;

/// <summary>Message of a member to its supervisor: the member is ready. One line on standard output.</summary>
/// <param name="Http">Bound HTTP endpoint; empty if there is none.</param>
/// <param name="Tls">Whether HTTP and gRPC are encrypted.</param>
public sealed record MemberReady(string Name, string Http, string Grpc, string Gossip, bool Tls = false)
{
    private const string Prefix = "ready ";

    /// <summary>Address of its HTTP.</summary>
    [JsonIgnore]
    public Uri HttpUrl => new($"{(Tls ? "https" : "http")}://{Http}");

    /// <summary>Address of its gRPC, as <c>skein bench</c> takes it.</summary>
    [JsonIgnore]
    public Uri GrpcUrl => new($"{(Tls ? "grpcs" : "grpc")}://{Grpc}");

    public string ToLine() => Prefix + JsonSerializer.Serialize(this);

    public static MemberReady? FromLine(string line) =>
        line.StartsWith(Prefix, StringComparison.Ordinal) ? JsonSerializer.Deserialize<MemberReady>(line[Prefix.Length..]) : null;
}

/// <summary>Message of a member to its supervisor: the member is about to exit and must be restarted. One line on standard output.</summary>
/// <param name="Revision">Revision of the next run.</param>
public sealed record RequestedRestart(string Revision)
{
    private const string Prefix = "restart ";

    public string ToLine() => Prefix + JsonSerializer.Serialize(this);

    public static RequestedRestart? FromLine(string line) =>
        line.StartsWith(Prefix, StringComparison.Ordinal) ? JsonSerializer.Deserialize<RequestedRestart>(line[Prefix.Length..]) : null;
}
