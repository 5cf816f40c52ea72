using System.Text.Json;

namespace Skein.Operations.Supervision;

/// <summary>What a member tells its supervisor, as one line on standard output, before it ends in order to be started again.</summary>
/// <param name="Revision">Revision of its next life.</param>
public sealed record RequestedRestart(string Revision)
{
    private const string Prefix = "restart ";

    public string ToLine() => Prefix + JsonSerializer.Serialize(this);

    public static RequestedRestart? FromLine(string line) =>
        line.StartsWith(Prefix, StringComparison.Ordinal) ? JsonSerializer.Deserialize<RequestedRestart>(line[Prefix.Length..]) : null;
}
