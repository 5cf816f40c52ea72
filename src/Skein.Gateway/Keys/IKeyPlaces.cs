namespace Skein.Gateway.Keys;

/// <summary>Moves places of keys, which limit the requests that run at the same time, between gateways. Thread-safe.</summary>
internal interface IKeyPlaces
{
    /// <summary>Takes a place of another gateway if one does not use all of its own, and none has refused a moment ago.</summary>
    Task FindAsync(KeyGrant grant, CancellationToken cancellationToken);
}
