namespace Skein.Gateway.Group;

/// <summary>
/// Passes the load beacons of replicas to admission. It has a loop of its own, because the gossip loop must never wait for the admission lock. One caller at
/// a time.
/// </summary>
internal sealed class BeaconFeed(FleetTracker fleet, AdmissionQueue admission)
{
    /// <summary>
    /// Shortest time between two polls, and the most it adds to a beacon's age. Replicas send ten beacons a second, and one on each change: a large group
    /// would keep the loop running all the time.
    /// </summary>
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(20);

    private readonly List<RunningReport> _reports = [];
    private Dictionary<ReplicaId, long> _usedSequences = [];
    private FleetSnapshot? _fleet;

    /// <summary>Runs until cancelled. Without beacons it sleeps.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async Task RunAsync(IMembership membership, TimeProvider time, CancellationToken cancellationToken)
    {
        while (true)
        {
            await membership.WaitForBeaconAsync(cancellationToken);
            Poll(membership);
            await Task.Delay(Period, time, cancellationToken);
        }
    }

    public void Poll(IMembership membership)
    {
        var now = fleet.Current;
        if (now != _fleet)
        {
            _usedSequences = now.Replicas.ToDictionary(replica => replica.Id, replica => _usedSequences.GetValueOrDefault(replica.Id));
            _fleet = now;
        }
        _reports.Clear();
        foreach (var replica in now.Replicas)
        {
            if (!membership.TryGetBeacon(replica.Id.Name, out var beacon)
                || beacon.Generation != replica.Id.Generation
                || beacon.Sequence <= _usedSequences[replica.Id])
                continue;
            _usedSequences[replica.Id] = beacon.Sequence;
            _reports.Add(new RunningReport(replica, beacon.InFlight, beacon.ReceivedAt));
        }
        if (_reports.Count > 0)
            admission.Report(_reports);
    }
}
