namespace Skein.GatewayBench.Clients;

/// <summary>The messages of every request, as a JSON array.</summary>
internal static class Prompt
{
    public static string Messages { get; } =
        $$"""[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"{{new string('x', 400)}}"}]""";
}
