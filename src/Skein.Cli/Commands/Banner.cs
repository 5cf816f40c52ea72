using System.Globalization;
using Skein.Operations.Supervision;

namespace Skein.Cli.Commands;

/// <summary>What <c>skein up</c> prints when the cluster is ready: addresses and next steps.</summary>
internal static class Banner
{
    public static void Print(LocalCluster cluster, TimeSpan took)
    {
        var gateway = cluster.Members[0].LastReady!;
        var replica = cluster.Members[^1];
        var members = cluster.Members.Count;
        var isDefault = gateway.Http.EndsWith(":8080", StringComparison.Ordinal);
        var flag = isDefault ? "" : $" --gateway http://{gateway.Http}";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $$"""

            Skein is up after {{took.TotalSeconds:0.0}} s: {{members}} members, OpenAI-compatible HTTP on http://{{gateway.Http}}/v1, gRPC on {{gateway.Grpc}}

              chat          skein chat{{flag}} "Tell me a story about an owl"
              or            curl -N http://{{gateway.Http}}/v1/chat/completions -H 'content-type: application/json' \
                              -d '{"messages":[{"role":"user","content":"Tell me a story about an owl"}],"stream":true}'
              kill one      kill -9 {{replica.ProcessId}}     ({{replica.Name}}; another replica continues its streams, and it restarts)
              status        skein status{{flag}}
              stop          Ctrl-C

            """));
    }
}
