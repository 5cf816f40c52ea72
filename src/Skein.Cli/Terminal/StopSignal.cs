using System.Runtime.InteropServices;

namespace Skein.Cli.Terminal;

/// <summary>
/// How a long-running verb is told to end: the first Ctrl-C or SIGTERM drains, the second stops. A supervised member ignores Ctrl-C, which
/// the terminal sends to all processes at once, and ends when its standard input does.
/// </summary>
internal sealed class StopSignal : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _atOnce = new();
    private readonly PosixSignalRegistration[] _registrations;

    public StopSignal(bool supervised)
    {
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, context => On(context, counts: !supervised)),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => On(context, counts: true)),
        ];
        if (supervised)
            new Thread(WaitForEndOfInput) { IsBackground = true, Name = "leash" }.Start();
    }

    /// <summary>Drain and end.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>End without waiting for anything.</summary>
    public CancellationToken AtOnce => _atOnce.Token;

    /// <summary>Drains and ends as the first signal would; more of it changes nothing.</summary>
    public void Request() => _stop.Cancel();

    public Task WaitAsync() => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, Stop).ContinueWith(
        _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);

    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        // The sources stay: the thread on standard input may still cancel them.
    }

    private void On(PosixSignalContext context, bool counts)
    {
        context.Cancel = true;
        if (counts)
            Raise();
    }

    private void Raise() => (_stop.IsCancellationRequested ? _atOnce : _stop).Cancel();

    private void WaitForEndOfInput()
    {
        using var input = Console.OpenStandardInput();
        Span<byte> ignored = stackalloc byte[64];
        while (input.Read(ignored) > 0)
        {
            // Whatever comes is not for us; only the end is.
        }
        _stop.Cancel();
    }
}
