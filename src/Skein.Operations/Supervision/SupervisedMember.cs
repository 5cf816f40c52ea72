using System.ComponentModel;
using System.Globalization;
using Skein.Load.Chaos.Network;

namespace Skein.Operations.Supervision;

/// <summary>
/// Keeps one member running: restarts its process a delay after each exit, or at once if the member requested the restart. Reacts to the exit of
/// the process only, not to the member's state in the group.
/// </summary>
public sealed class SupervisedMember(MemberSpec spec, TimeSpan restartDelay, Func<IEnumerable<string>> seeds, TimeProvider time, Action<string> say)
{
    private const long NotReady = long.MinValue;

    private readonly RestartBackOff _backOff = new(restartDelay);
    private readonly TaskCompletionSource<MemberReady> _firstReady = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile SupervisedProcess? _process;
    private volatile MemberReady? _lastReady;
    private Task _running = Task.CompletedTask;
    private long _readySince = NotReady;
    private string? _revision;

    public string Name => spec.Name;

    public bool IsGateway => spec.Verb == "gateway";

    /// <summary>Process id of the current run; null between runs.</summary>
    public int? ProcessId => _process?.Id;

    /// <summary>The last ready message; null before the first.</summary>
    public MemberReady? LastReady => _lastReady;

    /// <summary>Starts the member; completes when it is ready for the first time.</summary>
    /// <exception cref="MemberFailedException">The first run exited before it was ready, or could not be started.</exception>
    internal Task<MemberReady> StartAsync(CancellationToken stop)
    {
        _running = KeepRunningAsync(stop);
        return _firstReady.Task;
    }

    /// <summary>Lets the member drain and leave, then restarts it at once at another revision.</summary>
    internal void Restart(string revision) => _process?.StopForRestart(revision);

    /// <summary>Waits until the member has ended. The stop token of <see cref="StartAsync"/> must be cancelled before.</summary>
    internal async Task StoppedAsync(TimeSpan grace, CancellationToken atOnce)
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
            say(atOnce.IsCancellationRequested ? $"{Name} is stopped at once" : $"{Name} did not stop in time and is killed");
            _process?.Kill();
            await _running;
        }
    }

    private async Task KeepRunningAsync(CancellationToken stop)
    {
        // A run that was not ready may have failed because its port was taken: the next run uses a free one.
        var wasReady = false;
        while (!stop.IsCancellationRequested)
        {
            string? end;
            try
            {
                end = await RunAsync(wasReady, stop);
                wasReady = Volatile.Read(ref _readySince) != NotReady;
            }
            catch (Exception error) when (error is Win32Exception or TimeoutException)
            {
                end = $"could not be started: {error.Message}";
                _firstReady.TrySetException(new MemberFailedException(Name, $"its process could not be started: {error.Message}", exitCode: 1, error));
            }
            if (!_firstReady.Task.IsCompletedSuccessfully || stop.IsCancellationRequested || (end is not null && !await PauseAsync(end, stop)))
                return;
        }
    }

    /// <returns>How the run ended; null if the member is to be restarted at once.</returns>
    private async Task<string?> RunAsync(bool keepsPort, CancellationToken stop)
    {
        Volatile.Write(ref _readySince, NotReady);
        using var process = await StartProcessAsync(keepsPort);
        _process = process;
        if (stop.IsCancellationRequested)
            process.Stop();
        await process.WaitForExitAsync();
        _process = null;
        _firstReady.TrySetException(new MemberFailedException(Name, process.FinalMessage, process.ExitCode));
        if (process.RequestedRevision is not { } revision)
            return $"(pid {process.Id}) {DescribeExit(process)}";
        _revision = revision;
        say($"{Name} (pid {process.Id}) has left and restarts at revision {revision}, as requested");
        return null;
    }

    private async Task<SupervisedProcess> StartProcessAsync(bool keepsPort)
    {
        SupervisedProcess Start() => SupervisedProcess.Start(Arguments(keepsPort), OnReady, line => say($"{Name} | {line}"));
        return spec.Network is { } network ? await network.RunAsync(Start) : Start();
    }

    private static string DescribeExit(SupervisedProcess process) => process.ExitCode > 128
        ? $"was killed by signal {process.ExitCode - 128}"
        : $"exited with code {process.ExitCode}{(process.HasReason ? $" ({process.FinalMessage})" : "")}";

    private async Task<bool> PauseAsync(string end, CancellationToken stop)
    {
        var wait = _backOff.Next(Volatile.Read(ref _readySince) is var since and not NotReady ? time.GetElapsedTime(since) : TimeSpan.Zero);
        var runs = _backOff.ShortRuns > 1 ? $": its last {_backOff.ShortRuns} runs were short" : "";
        say(string.Create(CultureInfo.InvariantCulture, $"{Name} {end}; it restarts in {wait.TotalSeconds:0.#} s{runs}"));
        await Task.Delay(wait, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !stop.IsCancellationRequested;
    }

    private void OnReady(SupervisedProcess process, MemberReady ready)
    {
        // The message may arrive before the call that starts the process returns.
        _process = process;
        _lastReady = ready;
        Volatile.Write(ref _readySince, time.GetTimestamp());
        if (!_firstReady.TrySetResult(ready))
            say($"{Name} is up again (pid {process.Id})");
    }

    private IEnumerable<string> Arguments(bool keepsPort)
    {
        // A restart keeps the gossip port, so that other members find it even if all of them died at once.
        var gossipPort = keepsPort && _lastReady is { } ready ? ready.Gossip[(ready.Gossip.LastIndexOf(':') + 1)..] : "0";
        var join = string.Join(',', seeds());
        return
        [
            spec.Verb, "--supervised", "--name", spec.Name, "--gossip", gossipPort, .. spec.Arguments,
            .. _revision is { } revision ? new[] { "--revision", revision } : [],
            .. join.Length > 0 ? new[] { "--join", join } : [],
        ];
    }
}

/// <summary>A member that <see cref="LocalCluster"/> keeps running.</summary>
/// <param name="Verb">Verb that runs the member: <c>gateway</c> or <c>replica</c>.</param>
/// <param name="Arguments">Flags of the verb, without name and seeds.</param>
/// <param name="Network">Network that the member runs in; null: the network of this process.</param>
public sealed record MemberSpec(string Name, string Verb, IReadOnlyList<string> Arguments, NetworkNamespace? Network = null);

/// <summary>A member exited before it was ready for the first time. The message names the member and its final message.</summary>
public sealed class MemberFailedException(string member, string finalMessage, int exitCode, Exception? inner = null)
    : Exception($"{member}: {finalMessage}", inner)
{
    /// <summary>The last line that the member wrote to standard error.</summary>
    public string FinalMessage { get; } = finalMessage;

    public int ExitCode { get; } = exitCode;
}

/// <summary>Delay before a member is restarted: doubled after each consecutive short run, up to 30 s. Pure; not thread-safe.</summary>
/// <param name="first">Delay after a run that was not short, and after the first short run.</param>
internal sealed class RestartBackOff(TimeSpan first)
{
    /// <summary>A run that was ready for less than this is short.</summary>
    public static readonly TimeSpan Healthy = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    public int ShortRuns { get; private set; }

    /// <param name="readyFor">How long the last run was ready; 0 if it never was.</param>
    public TimeSpan Next(TimeSpan readyFor)
    {
        ShortRuns = readyFor < Healthy ? ShortRuns + 1 : 0;
        var wait = first.TotalSeconds * Math.Pow(2, Math.Min(16, Math.Max(0, ShortRuns - 1)));
        return TimeSpan.FromSeconds(Math.Min(wait, Math.Max(first.TotalSeconds, Longest.TotalSeconds)));
    }
}
