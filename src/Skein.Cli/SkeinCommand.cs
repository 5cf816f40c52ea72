using System.CommandLine;
using Skein.Cli.Commands;

namespace Skein.Cli;

/// <summary>The <c>skein</c> command with its verbs.</summary>
internal static class SkeinCommand
{
    public static RootCommand Create() => new("""
        Skein: a distributed LLM inference gateway. Replicas and gateways form one group; when a replica dies, another one continues its streams.

        Begin with: skein up
        """)
    {
        UpCommand.Create(),
        GatewayCommand.Create(),
        ReplicaCommand.Create(),
        StatusCommand.Create(),
        DrainCommand.Create(),
        UndrainCommand.Create(),
        RolloutCommand.Create(),
        ChatCommand.Create(),
        BenchCommand.Create(),
        ChaosCommand.Create(),
        SimulateCommand.Create(),
        GossipKeysCommand.Create(),
    };
}
