using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests.Gateways;

/// <summary>Bodies of requests.</summary>
internal static class Requests
{
    /// <param name="members">Members beside model and messages.</param>
    public static string Chat(string members, string question = ScriptedServer.Mark) =>
        $$"""{"model":"{{ScriptedServer.Model}}","messages":[{"role":"user","content":{{Events.Quote(question)}}}]{{Comma(members)}}}""";

    /// <param name="members">Members beside model and prompt.</param>
    public static string Completion(string members) =>
        $$"""{"model":"{{ScriptedServer.Model}}","prompt":"{{ScriptedServer.Mark}}"{{Comma(members)}}}""";

    private static string Comma(string members) => members.Length > 0 ? "," + members : "";
}
