using System.Text;

namespace Skein.Serving;

/// <summary>
/// Serves one engine: slots, standby attempts, engine liveness, drain and load reports. It knows no transport: <c>Grpc/</c> makes it a replica, and a
/// gateway calls it in its own process. Thread-safe.
/// </summary>
public sealed partial class EngineHost : IDisposable
{
    /// <summary>Longest caller name, request id and session name, in bytes of UTF-8.</summary>
    internal const int MostNameBytes = 128;

    /// <summary>Longest <c>trace_state</c>: that of W3C's trace context.</summary>
    private const int MostTraceStateBytes = 512;

    private static readonly TimeSpan LatenessTolerance = TimeSpan.FromMilliseconds(200);

    private readonly IInferenceEngine _engine;
    private readonly string _shownEngine;
    private readonly EngineHostOptions _options;
    private readonly SlotTable _slots;
    private readonly StandbyAttempts _standby;
    private readonly EngineLivenessMonitor _liveness;
    private readonly EngineLoadPoll _loadPoll;
    private readonly ReplicaControl _control;
    private readonly ProcessLateness? _ownLateness;
    private readonly EngineFaultLog _faultLog;
    private readonly ILogger _attemptLog;
    private readonly ILogger<SlotAdaptation> _slotLog;
    private readonly TimeProvider _time;
    private SlotAdaptation? _adaptation;

    /// <summary>Creates a host that is not yet started.</summary>
    /// <param name="engine">The caller disposes it, after the host.</param>
    /// <param name="lateness">Time in which this process did not run; null: the host measures it itself.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    public EngineHost(IInferenceEngine engine, EngineHostOptions options, TimeProvider time, ILoggerFactory logs, ProcessLateness? lateness = null)
    {
        ArgumentNullException.ThrowIfNull(engine);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        options.Validate();
        (_engine, _options, _time) = (engine, options, time);
        _shownEngine = options.Name is { } name ? $"{engine.Kind} engine {name}" : $"{engine.Kind} engine";
        _slots = new SlotTable(options.Generation ?? (ulong)time.GetUtcNow().ToUnixTimeMilliseconds(), time);
        _standby = new StandbyAttempts(options.StandbyTimeout, time);
        _ownLateness = lateness is null ? new ProcessLateness(time, LatenessTolerance) : null;
        _liveness = new EngineLivenessMonitor(
            engine, _shownEngine, _slots, options.EngineTimeout, time, logs.CreateLogger<EngineLivenessMonitor>(), lateness ?? _ownLateness!);
        _loadPoll = new EngineLoadPoll(engine, _shownEngine, _slots, time, logs.CreateLogger<EngineLoadPoll>());
        _control = new ReplicaControl(_slots, time);
        _attemptLog = logs.CreateLogger<EngineAttempt>();
        _slotLog = logs.CreateLogger<SlotAdaptation>();
        _faultLog = new EngineFaultLog(_shownEngine, time, _attemptLog);
    }

    /// <summary>Raised on any thread after the engine's description changed. Handlers must return at once.</summary>
    public event Action<EngineDescription>? DescriptionChanged;

    /// <summary>What its attempts came to.</summary>
    internal EngineTally Tally { get; } = new();

    /// <summary>Slots, drain and load.</summary>
    public IReplicaControl Control => _control;

    /// <summary>Whether the number of slots follows what the engine can do: neither the options nor the engine gave one.</summary>
    public bool HasAdaptiveSlots => _adaptation is not null;

    /// <summary>Whether the engine counts as frozen: its streams were ended, and it has not answered since.</summary>
    public bool IsEngineLost => _liveness.IsLost;

    /// <summary>The refusal of the engine's key by the last request; null after a success. The engine may accept the key in its health check.</summary>
    public FaultException? KeyRefusal => _faultLog.KeyRefusal;

    /// <summary>Reads the slots from the engine. Called once, before the first request.</summary>
    /// <exception cref="FaultException">The engine cannot be asked.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var known = _options.Slots ?? (await _engine.DescribeAsync(cancellationToken)).Slots;
        if (known is null)
            _loadPoll.Adaptation = _adaptation = new SlotAdaptation(_slots, _shownEngine, _time, _slotLog);

        _slots.SetSlots(known ?? AdaptiveSlots.Initial);
    }

    /// <summary>Checks the engine's liveness and polls its load until cancelled. Throws only after a bug.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] loops = [_liveness.RunAsync(stop.Token), _loadPoll.RunAsync(stop.Token), RunEngineAsync(stop.Token)];
        await Task.WhenAny(loops);
        await stop.CancelAsync();
        await Task.WhenAll(loops);
    }

    /// <summary>Admits an attempt: checks its names and takes a slot. The engine starts when the attempt is read.</summary>
    /// <exception cref="FaultException">The request is refused, or the engine is frozen.</exception>
    public EngineAttempt Begin(GenerateRequest request)
    {
        CheckCaller(request.Caller);
        CheckName("request_id", request.RequestId);
        CheckName("session", request.Session);
        CheckName("trace_parent", request.TraceParent);
        CheckName("trace_state", request.TraceState, MostTraceStateBytes);
        RequireEngine();
        var lease = TakeSlot(request.Caller, QueueReport.Of(request));
        try
        {
            return new EngineAttempt(_engine, request, _slots, lease, _standby.Add(request), _liveness, _adaptation, _time, _faultLog, Tally);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>Admits a call that is not generation: checks its names and takes a slot. The engine is called when the call is read.</summary>
    /// <exception cref="FaultException">The call is refused, or the engine is frozen.</exception>
    public EngineInvocation Begin(InvokeRequest request)
    {
        CheckCaller(request.Caller);
        CheckName("request_id", request.RequestId);
        CheckName("trace_parent", request.TraceParent);
        CheckName("trace_state", request.TraceState, MostTraceStateBytes);
        if (!EnginePaths.IsAllowed(request.Path))
            throw new FaultException(Fault.Unsupported, $"path '{request.Path}' is not passed on; allowed: {EnginePaths.Allowed}");
        RequireEngine();
        return new EngineInvocation(_engine, request, TakeSlot(request.Caller, QueueReport.Of(request)), _liveness, _faultLog);
    }

    /// <summary>Continues a standby attempt. Its frames come from the attempt itself.</summary>
    /// <exception cref="FaultException">There is no such attempt, it was continued before, or the request does not fit it.</exception>
    public void Continue(ContinueRequest request)
    {
        CheckName("request_id", request.RequestId);
        CheckName("session", request.Session);
        _standby.Continue(request);
    }

    /// <summary>Describes what is served, after a check that the engine could serve it now.</summary>
    /// <exception cref="FaultException">The caller's name is too long, or the engine cannot serve.</exception>
    public async Task<DescribeResponse> DescribeAsync(DescribeRequest request, CancellationToken cancellationToken)
    {
        CheckCaller(request.Caller);
        RequireEngine();
        await _engine.CheckAsync(cancellationToken);
        var description = await _engine.DescribeAsync(cancellationToken);
        return new DescribeResponse { Models = { description.Models }, Engine = _engine.Kind, Load = _slots.Report(request.Caller) };
    }

    /// <summary>Subscribes a gateway to offers of free slots.</summary>
    /// <param name="offered">Called with the number of each offer, under a lock: must return at once.</param>
    public OfferSubscription SubscribeToOffers(Action<uint> offered) => new(_slots, offered);

    /// <summary>Refuses new attempts and ends the running ones as if the engine were lost.</summary>
    public void Abort()
    {
        _slots.SetDraining(true);
        _liveness.Close();
    }

    public void Dispose()
    {
        Abort();
        _control.Dispose();
        _slots.Dispose();
        _ownLateness?.Dispose();
    }

    private async Task RunEngineAsync(CancellationToken stoppingToken)
    {
        try
        {
            await _engine.RunAsync(new BackgroundSlots(this), stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
        catch (Exception exception)
        {
            // A bug of the engine: it must not stop the host.
            Log.BackgroundFailed(_attemptLog, _engine.Kind, exception);
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void RequireEngine()
    {
        if (_liveness.IsLost)
            throw _liveness.LostException(wasBegun: false);
    }

    private SlotLease TakeSlot(string caller, QueueReport? queue) => _slots.TryTake(caller, queue, out var lease) switch
    {
        SlotAnswer.Granted => lease!,
        SlotAnswer.Draining => throw new FaultException(Fault.Draining, "the replica is draining", load: _slots.Report(caller)),
        _ => throw NoSlot(_slots.Report(caller)),
    };

    private static FaultException NoSlot(LoadReport load) => new(Fault.NoSlot, $"no free slot: {load.Running} of {load.Slots} are in use", load: load);

    private static void CheckName(string field, string name, int most = MostNameBytes)
    {
        if (name.Length > most || name.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw new FaultException(
                Fault.InvalidRequest,
                $"{field} is {name.Length} characters long or not printable; allowed: at most {most} bytes of printable ASCII");
        }
    }

    private static void CheckCaller(string caller)
    {
        var bytes = Encoding.UTF8.GetByteCount(caller);
        if (bytes > MostNameBytes)
            throw new FaultException(Fault.InvalidRequest, $"caller is {bytes} bytes long; allowed: at most {MostNameBytes}");
    }

    private sealed class BackgroundSlots(EngineHost host) : IEngineSlots
    {
        public IDisposable? TryTake() => host._slots.TryTake(caller: "", queue: null, out var lease) == SlotAnswer.Granted ? lease : null;

        public void DescriptionChanged(EngineDescription description) => host.DescriptionChanged?.Invoke(description);
    }

    private static partial class Log
    {
        [LoggerMessage(2010, LogLevel.Error, "The {Engine} engine's background work failed; it ends until the engine is connected again")]
        public static partial void BackgroundFailed(ILogger logger, string engine, Exception exception);
    }
}
