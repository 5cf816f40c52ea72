using System.ComponentModel;
using System.Globalization;

namespace Skein.Operations.Supervision;

/// <summary>
/// Keeps one member running: starts it, and starts it again some time after its process has exited, at once where the member asked for that.
/// It acts on the exit alone, never on what the group thinks of the member.
/// </summary>
public sealed class SupervisedMember(MemberSpec spec, TimeSpan restartDelay, Func<IEnumerable<string>> seeds, TimeProvider time, Action<string> say)
{
    private const long NeverUp = long.MinValue;

    private readonly TaskCompletionSource<MemberReady> _firstReady = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile SupervisedProcess? _process;
    private volatile MemberReady? _ready;
    private Task _running = Task.CompletedTask;
    private volatile bool _lastLifeCameUp;
    private long _upSince = NeverUp;
    private string? _revision;

    public string Name => spec.Name;

    /// <summary>Process id of the current life; null between lives.</summary>
    public int? ProcessId => _process?.Id;

    /// <summary>What it told last; null before the first time.</summary>
    public MemberReady? LastReady => _ready;

    /// <summary>Starts keeping it; completes when it is up for the first time.</summary>
    /// <exception cref="MemberFailedException">Its first life ended before it was up, or could not be started.</exception>
    public Task<MemberReady> StartAsync(CancellationToken stop)
    {
        _running = KeepAsync(stop);
        return _firstReady.Task;
    }

    /// <summary>Lets it drain and leave, then starts it again at once with another revision.</summary>
    public void StartAgain(string revision) => _process?.StopForRestart(revision);

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
        var backOff = new RestartBackOff(restartDelay);
        while (!stop.IsCancellationRequested)
        {
            Volatile.Write(ref _upSince, NeverUp);
            string? end;
            try
            {
                end = await LiveAsync(stop);
            }
            catch (Exception error) when (error is Win32Exception or TimeoutException)
            {
                end = $"could not be started: {error.Message}";
                _firstReady.TrySetException(new MemberFailedException(Name, $"its process could not be started: {error.Message}", exitCode: 1, error));
            }
            if (!_firstReady.Task.IsCompletedSuccessfully || stop.IsCancellationRequested || (end is not null && !await PauseAsync(end, backOff, stop)))
                return;
        }
    }

    /// <summary>One life.</summary>
    /// <returns>How it ended; null: as it wished, to be started again at once.</returns>
    private async Task<string?> LiveAsync(CancellationToken stop)
    {
        using var process = await StartProcessAsync();
        _process = process;
        // Taken back when this life comes up.
        _lastLifeCameUp = false;
        if (stop.IsCancellationRequested)
            process.Stop();
        _ = NoteReadyAsync(process);
        await process.WaitForExitAsync(CancellationToken.None);
        _process = null;
        _firstReady.TrySetException(new MemberFailedException(Name, process.LastError, process.ExitCode));
        if (process.WantedRevision is not { } revision)
            return $"(pid {process.Id}) {HowItEnded(process)}";
        _revision = revision;
        say($"{Name} (pid {process.Id}) has left and starts again with revision {revision}, as asked");
        return null;
    }

    private async Task<SupervisedProcess> StartProcessAsync()
    {
        SupervisedProcess Start() => SupervisedProcess.Start(Arguments(), line => say($"{Name} | {line}"));
        return spec.Network is { } network ? await network.RunAsync(Start) : Start();
    }

    private static string HowItEnded(SupervisedProcess process)
    {
        if (process.ExitCode > 128)
            return $"was killed by signal {process.ExitCode - 128}";
        return $"exited with code {process.ExitCode}{(process.HasSaidWhy ? $" ({process.LastError})" : "")}";
    }

    private async Task<bool> PauseAsync(string end, RestartBackOff backOff, CancellationToken stop)
    {
        var wait = backOff.Next(Volatile.Read(ref _upSince) is var since and not NeverUp ? time.GetElapsedTime(since) : TimeSpan.Zero);
        var row = backOff.ShortLives > 1 ? $": its {backOff.ShortLives} last lives were short" : "";
        say(string.Create(CultureInfo.InvariantCulture, $"{Name} {end}; it starts again in {wait.TotalSeconds:0.#} s{row}"));
        try
        {
            await Task.Delay(wait, time, stop);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task NoteReadyAsync(SupervisedProcess process)
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
        Volatile.Write(ref _upSince, time.GetTimestamp());
        if (!_firstReady.TrySetResult(_ready))
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
        foreach (var argument in spec.Arguments)
            yield return argument;
        if (_revision is { } revision)
        {
            yield return "--revision";
            yield return revision;
        }
        var join = string.Join(',', seeds());
        if (join.Length > 0)
        {
            yield return "--join";
            yield return join;
        }
    }
}
