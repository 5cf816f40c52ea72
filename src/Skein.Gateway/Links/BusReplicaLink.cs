using System.Runtime.CompilerServices;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links;

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
        request.CalculateSize() <= MostRequestBytes
            ? GenerateOverBusAsync(replica, request, cancellationToken)
            : _calls.GenerateAsync(replica, request, cancellationToken);

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        _calls.ContinueAsync(replica, request, cancellationToken);

    public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => _calls.ProbeAsync(replica, cancellationToken);

    private async IAsyncEnumerable<GenerateFrame> GenerateOverBusAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using BusAttempt attempt = Start(replica, request, cancellationToken);
        while (await attempt.WaitToReadAsync())
        {
            while (attempt.TryRead(out GenerateFrame? frame))
                yield return frame;
            cancellationToken.ThrowIfCancellationRequested();
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
