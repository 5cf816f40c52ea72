namespace Skein.Cli.Supervision;

/// <summary>
/// Keeps one member running: starts it, and starts it again some time after its process has exited. It acts on the exit alone, never on
/// what the group thinks of the member.
/// </summary>
internal sealed class KeptMember(MemberSpec spec, TimeSpan restartDelay, Func<IEnumerable<string>> seeds, TimeProvider time, Action<string> say)
{
    private readonly TaskCompletionSource<MemberReady> _firstReady = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile SupervisedProcess? _process;
    private volatile MemberReady? _ready;
    private Task _running = Task.CompletedTask;
    private volatile bool _lastLifeCameUp;

    public string Name => spec.Name;

    /// <summary>Process id of the current life; null between lives.</summary>
    public int? ProcessId => _process?.Id;

    /// <summary>What it told last; null before the first time.</summary>
    public MemberReady? LastReady => _ready;

    /// <summary>Starts keeping it; completes when it is up for the first time.</summary>
    /// <exception cref="InvalidOperationException">Its first life ended before it was up; the message is its last line.</exception>
    public Task<MemberReady> StartAsync(CancellationToken stop)
    {
        _running = KeepAsync(stop);
        return _firstReady.Task;
    }

    /// <summary>Waits until it runs no more; the stop token of <see cref="StartAsync"/> must be cancelled before.</summary>
    public async Task StoppedAsync(TimeSpan grace, CancellationToken atOnce)
    {
        _process?.Stop();
        using var timeout = new CancellationTokenSource(grace, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, atOnce);
        try
        {
            await _running.WaitAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            say($"{Name} did not stop; it is killed");
            _process?.Kill();
            await _running;
        }
    }

    private async Task KeepAsync(CancellationToken stop)
    {
        for (bool first = true; !stop.IsCancellationRequested; first = false)
        {
            using SupervisedProcess process = SupervisedProcess.Start(Arguments(), line => say($"{Name} | {line}"));
            _process = process;
            // Taken back when this life comes up.
            _lastLifeCameUp = false;
            if (stop.IsCancellationRequested)
                process.Stop();
            _ = NoteReadyAsync(process, first);
            await process.WaitForExitAsync(CancellationToken.None);
            _process = null;
            if (!_firstReady.Task.IsCompletedSuccessfully)
            {
                _firstReady.TrySetException(new InvalidOperationException($"{Name}: {process.LastError}"));
                return;
            }
            if (stop.IsCancellationRequested || !await PauseAsync(process, stop))
                return;
        }
    }

    private async Task<bool> PauseAsync(SupervisedProcess process, CancellationToken stop)
    {
        string how = process.ExitCode > 128 ? $"was killed by signal {process.ExitCode - 128}" : $"exited with code {process.ExitCode}";
        say($"{Name} (pid {process.Id}) {how}; it starts again in {restartDelay.TotalSeconds:0.#} s");
        try
        {
            await Task.Delay(restartDelay, time, stop);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task NoteReadyAsync(SupervisedProcess process, bool first)
    {
        try
        {
            _ready = await process.Ready;
        }
        catch (InvalidOperationException)
        {
            // It exited before it was up: the exit is what counts, and is told where it is noticed.
            return;
        }
        _lastLifeCameUp = true;
        _firstReady.TrySetResult(_ready);
        if (!first)
            say($"{Name} is up again (pid {process.Id})");
    }

    private IEnumerable<string> Arguments()
    {
        yield return spec.Verb;
        yield return "--supervised";
        yield return "--name";
        yield return spec.Name;
        // The port of the first life, so that others find it there though all died at once; a life that did not come up may have found it taken.
        yield return "--gossip";
        yield return _ready is { } ready && _lastLifeCameUp ? ready.Gossip[(ready.Gossip.LastIndexOf(':') + 1)..] : "0";
        foreach (string argument in spec.Arguments)
            yield return argument;
        string join = string.Join(',', seeds());
        if (join.Length > 0)
        {
            yield return "--join";
            yield return join;
        }
    }
}
