using Skein.Cli.Commands;
using Skein.Cli.Terminal;

namespace Skein.Cli;

internal static class SkeinCommand
{
    public static RootCommand Create()
    {
        var root = Verbs();
        GroupedHelp.Install(root, HelpPages.Groups, HelpPages.Examples);
        return root;
    }

    private static RootCommand Verbs() => new("""
        Skein: a distributed LLM inference gateway. Replicas and gateways form one group; when a replica dies, another one continues its streams.

        Begin with: skein up
        """)
    {
        UpCommand.Create(),
        GatewayCommand.Create(),
        ReplicaCommand.Create(),
        StatusCommand.Create(),
        TopCommand.Create(),
        DrainCommand.Create(),
        DrainCommand.CreateUndrain(),
        RolloutCommand.Create(),
        ChatCommand.Create(),
        BenchCommand.Create(),
        ChaosCommand.Create(),
        SimulateCommand.Create(),
        EnginesCommand.Create(),
        ConfigCommand.Create(),
        ApiKeysCommand.Create(),
        GossipKeysCommand.Create(),
    };
}
