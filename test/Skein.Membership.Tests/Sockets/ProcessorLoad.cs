namespace Skein.Membership.Tests.Sockets;

/// <summary>Busy threads, two for each core.</summary>
internal static class ProcessorLoad
{
    /// <summary>Waits for a fixed time, because the duration of the load is the subject of the test.</summary>
    public static async Task RunAsync(TimeSpan length, CancellationToken deadline)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(deadline);
        var stopped = stop.Token;
        Thread[] burners = [.. Enumerable.Range(0, Environment.ProcessorCount * 2).Select(_ => new Thread(() => Burn(stopped)) { IsBackground = true })];
        foreach (var burner in burners)
            burner.Start();
        await Task.Delay(length, TimeProvider.System, deadline);
        await stop.CancelAsync();
        foreach (var burner in burners)
            burner.Join();
    }

    private static void Burn(CancellationToken stop)
    {
        double value = 1;
        while (!stop.IsCancellationRequested)
            value = Math.Sqrt(value + 1);
        GC.KeepAlive(value);
    }
}
