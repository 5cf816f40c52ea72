using System.Runtime.InteropServices;

namespace Skein.Cli.Terminal;

/// <summary>
/// Stop requests of a long-running verb: the first Ctrl-C or SIGTERM drains, the second stops at once. A supervised member ignores Ctrl-C, which the
/// terminal sends to all processes, and stops when its standard input ends.
/// </summary>
internal sealed class StopSignal : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _atOnce = new();
    private readonly PosixSignalRegistration[] _registrations;
    private int _isSignalled;

    public StopSignal(bool supervised)
    {
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, context =>
            {
                IsInterrupted |= !supervised && !_stop.IsCancellationRequested;
                On(context, counts: !supervised);
            }),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => On(context, counts: true)),
        ];
        if (supervised)
            new Thread(WaitForEndOfInput) { IsBackground = true, Name = "supervisor pipe" }.Start();
    }

    public CancellationToken Stop => _stop.Token;

    /// <summary>The first signal was Ctrl-C.</summary>
    public bool IsInterrupted { get; private set; }

    public CancellationToken AtOnce => _atOnce.Token;

    /// <summary>Has the effect of a first signal; repeated calls change nothing.</summary>
    public void Request()
    {
        _isSignalled = 1;
        _stop.Cancel();
    }

    public async Task WaitAsync() =>
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, Stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        // The token sources are not disposed: the thread on standard input may still cancel them.
    }

    private void On(PosixSignalContext context, bool counts)
    {
        context.Cancel = true;
        if (counts)
            Signalled();
    }

    /// <summary>A signal that counts came.</summary>
    internal void Signalled() => (Interlocked.Exchange(ref _isSignalled, 1) == 0 ? _stop : _atOnce).Cancel();

    /// <summary>
    /// The supervisor stops its members. That is no signal: a service manager signals all processes at the same time, and the member's own may come later.
    /// </summary>
    internal void SupervisorStops() => _stop.Cancel();

    private void WaitForEndOfInput()
    {
        using var input = Console.OpenStandardInput();
        Span<byte> ignored = stackalloc byte[64];
        while (input.Read(ignored) > 0)
        {
            // Input has no meaning; only its end does.
        }
        SupervisorStops();
    }
}
