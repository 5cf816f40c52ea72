using System.Text.Json;

namespace Skein.Operations.Supervision;

/// <summary>Message of a member to its supervisor: the member is ready. One line on standard output.</summary>
/// <param name="Http">Bound HTTP endpoint; empty if there is none.</param>
public sealed record MemberReady(string Name, string Http, string Grpc, string Gossip)
{
    private const string Prefix = "ready ";

    public string ToLine() => MemberMessages.Write(Prefix, this);

    public static MemberReady? FromLine(string line) => MemberMessages.Read<MemberReady>(Prefix, line);
}

/// <summary>Message of a member to its supervisor: the member is about to exit and must be restarted. One line on standard output.</summary>
/// <param name="Revision">Revision of the next run.</param>
public sealed record RequestedRestart(string Revision)
{
    private const string Prefix = "restart ";

    public string ToLine() => MemberMessages.Write(Prefix, this);

    public static RequestedRestart? FromLine(string line) => MemberMessages.Read<RequestedRestart>(Prefix, line);
}

internal static class MemberMessages
{
    public static string Write<T>(string prefix, T message) => prefix + JsonSerializer.Serialize(message);

    public static T? Read<T>(string prefix, string line)
        where T : class => line.StartsWith(prefix, StringComparison.Ordinal) ? JsonSerializer.Deserialize<T>(line[prefix.Length..]) : null;
}
