using System.Runtime.CompilerServices;

namespace Skein.Gateway.Links.Bus;

/// <summary>
/// Reaches replicas over gRPC. Attempts share their replica's <see cref="TokenBus"/>, except those with a long request, which get a call of their own: a start
/// frame repeats the prompt's ids, and a long message delays the tokens of all other attempts.
/// </summary>
internal sealed class BusReplicaLink(ReplicaChannels channels) : IReplicaTransport
{
    /// <summary>Longest encoded request on a bus, in bytes. At 1 Gb/s it takes half a millisecond.</summary>
    public const int MostRequestBytes = 64 << 10;

    /// <summary>Buses in a row that may break before the attempt has started on one.</summary>
    private const int MostBuses = 3;

    private readonly GrpcReplicaLink _calls = new(channels);

    public IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken) =>
        request.CalculateSize() <= MostRequestBytes && channels.HasBus(replica)
            ? GenerateOverBusAsync(replica, request, cancellationToken)
            : _calls.GenerateAsync(replica, request, cancellationToken);

    public IAsyncEnumerable<InvokeFrame> InvokeAsync(Replica replica, InvokeRequest request, CancellationToken cancellationToken) =>
        _calls.InvokeAsync(replica, request, cancellationToken);

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        _calls.ContinueAsync(replica, request, cancellationToken);

    /// <summary>Also opens the bus, so that the first attempt on a replica, which may be a failover, finds it open.</summary>
    public async Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken)
    {
        var answer = await _calls.DescribeAsync(replica, cancellationToken);
        using var use = channels.Use(replica);
        _ = use.Channel.Bus;
        return answer;
    }

    private async IAsyncEnumerable<GenerateFrame> GenerateOverBusAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var use = channels.Use(replica);
        using var attempt = Start(replica, use.Channel, request, cancellationToken);
        if (await IsUnknownAsync(attempt))
        {
            await foreach (var frame in _calls.GenerateAsync(replica, request, cancellationToken))
                yield return frame;
            yield break;
        }
        while (await attempt.WaitToReadAsync())
        {
            while (attempt.TryRead(out var frame))
                yield return frame;
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Whether the replica does not know the bus. During a rolling update, this is so for replicas of older releases.</summary>
    private static async ValueTask<bool> IsUnknownAsync(BusAttempt attempt)
    {
        try
        {
            await attempt.WaitToReadAsync();
            return false;
        }
        catch (FaultException) when (attempt.Bus.IsUnknown)
        {
            return true;
        }
    }

    private static BusAttempt Start(Replica replica, ReplicaChannel channel, GenerateRequest request, CancellationToken cancellationToken)
    {
        try
        {
            // A bus that has just broken refuses the attempt; the next one is new.
            for (var buses = 1; ; buses++)
            {
                var bus = channel.Bus;
                if (bus.TryStart(request, cancellationToken, out var attempt))
                    return attempt;
                if (buses == MostBuses)
                    throw bus.Failure!;
            }
        }
        catch (ObjectDisposedException)
        {
            throw ReplicaChannels.Gone(replica);
        }
    }
}
