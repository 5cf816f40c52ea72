using System.Text.Json;

namespace Skein.Operations.Supervision;

/// <summary>What a member tells its supervisor, as one line on standard output, once it is up.</summary>
/// <param name="Name">Member name.</param>
/// <param name="Http">Bound HTTP endpoint; empty where there is none.</param>
/// <param name="Grpc">Bound gRPC endpoint.</param>
/// <param name="Gossip">Bound gossip endpoint.</param>
public sealed record MemberReady(string Name, string Http, string Grpc, string Gossip)
{
    private const string Prefix = "ready ";

    public string ToLine() => Prefix + JsonSerializer.Serialize(this);

    public static MemberReady? FromLine(string line) =>
        line.StartsWith(Prefix, StringComparison.Ordinal) ? JsonSerializer.Deserialize<MemberReady>(line[Prefix.Length..]) : null;
}
