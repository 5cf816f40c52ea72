namespace Skein.Membership.Tests.Sockets;

/// <summary>Waits for the views of members. At its deadline a wait fails with the last view.</summary>
internal static class Group
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    /// <summary>Waits until one member sees another one as required; returns it.</summary>
    public static async Task<Member> WaitAsync(IMembership at, string name, Func<Member, bool> condition, CancellationToken deadline)
    {
        var snapshot = at.Current;
        try
        {
            while (snapshot.Find(name) is not { } member || !condition(member))
                snapshot = await at.WaitForChangeAsync(snapshot.Version, deadline);
            return snapshot.Find(name)!;
        }
        catch (OperationCanceledException passed)
        {
            throw new TimeoutException($"{at.Current.Self.Name} sees {name} as {snapshot.Find(name)}", passed);
        }
    }

    /// <summary>Polls a condition that has no event.</summary>
    public static async Task TrueAsync(Func<bool> condition, string otherwise, CancellationToken deadline)
    {
        try
        {
            while (!condition())
                await Task.Delay(Pause, TimeProvider.System, deadline);
        }
        catch (OperationCanceledException passed)
        {
            throw new TimeoutException(otherwise, passed);
        }
    }
}
