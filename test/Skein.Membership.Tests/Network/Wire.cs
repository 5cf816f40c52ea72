using System.Net;
using Microsoft.Win32.SafeHandles;

namespace Skein.Membership.Tests.Network;

/// <summary>
/// The cable between networks of our own, in this process: each IP packet is passed, lost or late, as a test says. It does what
/// <c>tc netem</c> does, and needs neither that module nor the rights to load it. Safe for concurrent use.
/// </summary>
internal sealed class Wire : IDisposable
{
    private readonly Random[] _random;
    private readonly Lock _lateness = new();
    private readonly PriorityQueue<(int To, byte[] Packet), long> _late = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Thread> _threads = [];
    private long _lost;
    private const int FirstHost = 1;
    private const int LargestPacket = 65536;
    private const int PollMilliseconds = 100;

    private Wire(IReadOnlyList<NetworkNamespace> hosts, int seed)
    {
        Hosts = hosts;
        _random = [.. hosts.Select((_, i) => new Random(seed + i))];
        for (int i = 0; i < hosts.Count; i++)
        {
            int from = i;
            _threads.Add(new Thread(() => Read(from)) { IsBackground = true, Name = $"wire from {Hosts[i].Address}" });
        }
        _threads.Add(new Thread(DeliverLate) { IsBackground = true, Name = "wire, late packets" });
        _threads.ForEach(static thread => thread.Start());
    }

    public IReadOnlyList<NetworkNamespace> Hosts { get; }

    /// <summary>Share of packets that is lost, 0 to 1, each way.</summary>
    public double Loss { get; set; }

    /// <summary>Each packet is late by a random time up to this, so that they overtake each other.</summary>
    public TimeSpan Jitter { get; set; }

    /// <summary>Whether a packet from one host to another passes.</summary>
    public Func<int, int, bool> Passes { get; set; } = static (_, _) => true;

    /// <summary>Packets that did not arrive.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    /// <summary>Makes it, or skips the test with the reason.</summary>
    /// <param name="hosts">Their addresses are 10.77.0.1 and on.</param>
    /// <param name="seed">Of loss and jitter.</param>
    public static async Task<Wire> CreateOrSkipAsync(int hosts, int seed)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "network namespaces are a thing of Linux");
        try
        {
            var made = new List<NetworkNamespace>();
            for (int i = 0; i < hosts; i++)
                made.Add(await NetworkNamespace.CreateAsync(new IPAddress([10, 77, 0, (byte)(FirstHost + i)])));
            return new Wire(made, seed);
        }
        catch (NetworkNotPermittedException error)
        {
            Assert.Skip($"no network of our own: {error.Message}; run the tests as root, or under 'unshare --user --map-root-user'");
            throw;
        }
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _threads.ForEach(static thread => thread.Join());
        foreach (NetworkNamespace host in Hosts)
            host.Dispose();
        _stopping.Dispose();
    }

    private void Read(int from)
    {
        byte[] packet = new byte[LargestPacket];
        SafeFileHandle card = Hosts[from].Card;
        while (!_stopping.IsCancellationRequested)
        {
            // A read alone could not be ended.
            if (!Kernel.WaitForInput(card, PollMilliseconds))
                continue;
            int length = Kernel.Read(card, packet);
            const int Destination = 16;
            bool isIPv4 = length > Destination + 4 && packet[0] >> 4 == 4;
            if (isIPv4)
                Pass(from, packet[Destination + 3] - FirstHost, packet.AsSpan(0, length));
        }
    }

    private void Pass(int from, int to, ReadOnlySpan<byte> packet)
    {
        if (to < 0 || to >= Hosts.Count)
            return;
        if (!Passes(from, to) || _random[from].NextDouble() < Loss)
        {
            Interlocked.Increment(ref _lost);
            return;
        }
        if (Jitter == TimeSpan.Zero)
        {
            Deliver(to, packet);
            return;
        }
        long due = TimeProvider.System.GetTimestamp() + (long)(_random[from].NextDouble() * Jitter.TotalSeconds * TimeProvider.System.TimestampFrequency);
        lock (_lateness)
            _late.Enqueue((to, packet.ToArray()), due);
    }

    private void Deliver(int to, ReadOnlySpan<byte> packet)
    {
        // Its queue may be full, as that of any card.
        if (!Kernel.TryWrite(Hosts[to].Card, packet))
            Interlocked.Increment(ref _lost);
    }

    private void DeliverLate()
    {
        while (!_stopping.Token.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(1)))
            while (TryTakeLate(out int to, out byte[] packet))
                Deliver(to, packet);
    }

    private bool TryTakeLate(out int to, out byte[] packet)
    {
        lock (_lateness)
        {
            (to, packet) = (0, []);
            if (!_late.TryPeek(out _, out long due) || due > TimeProvider.System.GetTimestamp())
                return false;
            (to, packet) = _late.Dequeue();
            return true;
        }
    }
}
