using System.Net;

namespace Skein.Load.Chaos.Network;

/// <summary>
/// Connects network namespaces through this process: each IP packet is forwarded, dropped or delayed as configured. Equivalent to
/// <c>tc netem</c> without that kernel module or the rights to load it. Thread-safe.
/// </summary>
public sealed class Cable : IDisposable
{
    private const int FirstHost = 1;
    private const int MaxHosts = 254;
    private const int LargestPacket = 65536;
    private const int PollMilliseconds = 100;

    private readonly Random[] _random;
    private readonly double[] _lossOf;
    private readonly Thread[] _threads;
    private readonly CancellationTokenSource _stopping = new();
    private long _lost;

    private Cable(IReadOnlyList<NetworkNamespace> hosts, int seed)
    {
        Hosts = hosts;
        _lossOf = new double[hosts.Count];
        _random = [.. hosts.Select((_, i) => new Random(seed + i))];
        _threads = [.. hosts.Select((host, i) => new Thread(() => Read(i)) { IsBackground = true, Name = $"cable from {host.Address}" })];
        Array.ForEach(_threads, static thread => thread.Start());
    }

    /// <summary>The connected networks; their addresses start at 10.77.0.1.</summary>
    public IReadOnlyList<NetworkNamespace> Hosts { get; }

    /// <summary>Share of all packets that is lost, 0 to 1, in each direction.</summary>
    public double Loss { get; set; }

    /// <summary>Maximum delay. Each packet is delayed by a random time up to this, so that packets are reordered.</summary>
    public TimeSpan Jitter { get; set; }

    /// <summary>Returns whether packets from the first host to the second pass.</summary>
    public Func<int, int, bool> Passes { get; set; } = static (_, _) => true;

    public long Lost => Interlocked.Read(ref _lost);

    /// <param name="hosts">Number of networks, 1 to 254.</param>
    /// <param name="isFirstHere">True: the first host is the network of this process instead of a new one.</param>
    /// <exception cref="NetworkNotPermittedException">This process may not create networks.</exception>
    public static async Task<Cable> CreateAsync(int hosts, int seed, bool isFirstHere = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(hosts, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(hosts, MaxHosts);
        var made = new List<NetworkNamespace>();
        try
        {
            for (var i = 0; i < hosts; i++)
                made.Add(await NetworkNamespace.CreateAsync(new IPAddress([10, 77, 0, (byte)(FirstHost + i)]), isNew: i > 0 || !isFirstHere));
            return new Cable(made, seed);
        }
        catch
        {
            made.ForEach(static host => host.Dispose());
            throw;
        }
    }

    /// <summary>Sets the share of packets to and from one host that is lost, 0 to 1. The larger of this and <see cref="Loss"/> applies.</summary>
    public void SetLoss(int host, double share) => Volatile.Write(ref _lossOf[host], share);

    /// <summary>Stops forwarding, then removes the devices.</summary>
    public void Dispose()
    {
        _stopping.Cancel();
        Array.ForEach(_threads, static thread => thread.Join());
        foreach (var host in Hosts)
            host.Dispose();
        _stopping.Dispose();
    }

    private void Read(int from)
    {
        const int Destination = 16;
        var packet = new byte[LargestPacket];
        var card = Hosts[from].Card;
        while (!_stopping.IsCancellationRequested)
        {
            // A blocking read could not be cancelled.
            if (!Kernel.WaitForInput(card, PollMilliseconds))
                continue;
            var length = Kernel.Read(card, packet);
            var isIPv4 = length > Destination + 4 && packet[0] >> 4 == 4;
            if (isIPv4)
                Pass(from, packet[Destination + 3] - FirstHost, packet.AsSpan(0, length));
        }
    }

    private void Pass(int from, int to, ReadOnlySpan<byte> packet)
    {
        if (to < 0 || to >= Hosts.Count)
            return;
        if (!Passes(from, to) || _random[from].NextDouble() < LossBetween(from, to))
            Interlocked.Increment(ref _lost);
        else if (Jitter == TimeSpan.Zero)
            Deliver(to, packet);
        else
            _ = DeliverLateAsync(to, packet.ToArray(), _random[from].NextDouble() * Jitter);
    }

    private double LossBetween(int from, int to) => Math.Max(Loss, Math.Max(Volatile.Read(ref _lossOf[from]), Volatile.Read(ref _lossOf[to])));

    private void Deliver(int to, ReadOnlySpan<byte> packet)
    {
        // The queue of the device may be full.
        if (!Kernel.TryWrite(Hosts[to].Card, packet))
            Interlocked.Increment(ref _lost);
    }

    private async Task DeliverLateAsync(int to, byte[] packet, TimeSpan delay)
    {
        await Task.Delay(delay, TimeProvider.System, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!_stopping.IsCancellationRequested)
            Deliver(to, packet);
    }
}
