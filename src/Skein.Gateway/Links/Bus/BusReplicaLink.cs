using System.Runtime.CompilerServices;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links.Bus;

/// <summary>
/// Attempts share their replica's <see cref="TokenBus"/>, but for those with a long request, which have a call of their own: a start frame
/// repeats the prompt's ids, and whatever is long keeps everybody's tokens waiting.
/// </summary>
internal sealed class BusReplicaLink(ReplicaChannels channels) : IReplicaLink
{
    /// <summary>Longest request on a bus, as encoded. At 1 Gb/s it takes the line for half a millisecond.</summary>
    public const int MostRequestBytes = 64 << 10;

    private readonly GrpcReplicaLink _calls = new(channels);

    public IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken) =>
        request.CalculateSize() <= MostRequestBytes && channels.HasBus(replica)
            ? GenerateOverBusAsync(replica, request, cancellationToken)
            : _calls.GenerateAsync(replica, request, cancellationToken);

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        _calls.ContinueAsync(replica, request, cancellationToken);

    public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => _calls.ProbeAsync(replica, cancellationToken);

    private async IAsyncEnumerable<GenerateFrame> GenerateOverBusAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var attempt = Start(replica, request, cancellationToken);
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

    /// <summary>Found out by the first attempt: a replica of an older release, in the middle of a rolling update, knows calls only.</summary>
    private static async ValueTask<bool> IsUnknownAsync(BusAttempt attempt)
    {
        try
        {
            await attempt.WaitToReadAsync();
            return false;
        }
        catch (LinkException) when (attempt.Bus.IsUnknown)
        {
            return true;
        }
    }

    private BusAttempt Start(Replica replica, GenerateRequest request, CancellationToken cancellationToken)
    {
        try
        {
            // A bus that broke a moment ago refuses; the next one is new.
            BusAttempt? attempt;
            while (!channels.BusOf(replica).TryStart(request, cancellationToken, out attempt))
            {
            }
            return attempt;
        }
        catch (ObjectDisposedException)
        {
            throw GrpcReplicaLink.Gone(replica);
        }
    }
}
