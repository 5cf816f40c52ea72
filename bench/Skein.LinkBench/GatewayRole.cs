using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Routing.Fleet;

namespace Skein.LinkBench;

/// <summary>
/// A gateway process: one kind of link to every replica. Each line of standard input, <c>shape seconds</c>, starts one run. Its figures are
/// one line of standard output.
/// </summary>
internal static class GatewayRole
{
    public static async Task<int> RunAsync(string link, string addresses)
    {
        using var fleet = new FleetTracker(new FixedFleet(addresses.Split(',')));
        using var channels = new ReplicaChannels(fleet, new LinkOptions());
        var load = new LoadRun(LinkKinds.Create(link, channels), fleet.Current.Replicas);
        while (await Console.In.ReadLineAsync() is { } line)
        {
            var words = line.Split(' ');
            var figures = await load.MeasureAsync(LoadShape.Find(words[0])!, TimeSpan.FromSeconds(int.Parse(words[1])));
            Console.WriteLine(figures.ToLine());
        }
        return 0;
    }

    private sealed class FixedFleet(string[] addresses) : IFleetSource
    {
        public event Action? Changed
        {
            add { }
            remove { }
        }

        public FleetView Current { get; } = new(
            [.. addresses.Select((address, index) => new ReplicaDescription
            {
                Id = new ReplicaId($"replica-{index + 1}", 1), Address = address, Models = [], Slots = PacedEngine.MostStreams,
            })],
            [],
            Complete: true);
    }
}
