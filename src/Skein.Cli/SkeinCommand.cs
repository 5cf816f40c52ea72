using System.CommandLine;
using Skein.Cli.Commands;

namespace Skein.Cli;

/// <summary>The <c>skein</c> command with its verbs.</summary>
internal static class SkeinCommand
{
    public static RootCommand Create() => new("""
        Skein: a gateway for language models on your own machines. Replicas and gateways form one group; streams go on when a replica dies.

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
        SimulateCommand.Create(),
        GossipKeysCommand.Create(),
    };
}
