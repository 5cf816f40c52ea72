using System.Runtime.CompilerServices;

namespace Skein.Serving;

/// <summary>
/// One admitted attempt. It keeps its slot until its engine has stopped, or until it is disposed without having been read. It is read once, by one reader,
/// which owns the frames.
/// </summary>
public sealed class EngineAttempt : IDisposable
{
    private readonly IInferenceEngine _engine;
    private readonly EngineTally _tally;
    private readonly SlotTable _slots;
    private readonly SlotLease _lease;
    private readonly StandbyAttempt? _standby;
    private readonly EngineLivenessMonitor _liveness;
    private readonly TimeProvider _time;
    private readonly EngineFaultLog _log;
    private readonly SlotAdaptation? _adaptation;
    private SlotAdaptation.AttemptMeasure? _measure;
    private GenerateRequest _request;

    internal EngineAttempt(
        IInferenceEngine engine, GenerateRequest request, SlotTable slots, SlotLease lease, StandbyAttempt? standby,
        EngineLivenessMonitor liveness, SlotAdaptation? adaptation, TimeProvider time, EngineFaultLog log, EngineTally tally) =>
        (_engine, _request, _slots, _lease, _standby, _liveness, _adaptation, _time, _log, _tally) =
        (engine, request, slots, lease, standby, liveness, adaptation, time, log, tally);

    /// <summary>
    /// Runs the engine. Each frame carries the request's attempt and choice; the first one and the one with the finish also carry the replica's load. The
    /// finish comes after the engine has stopped and the slot is free.
    /// </summary>
    /// <param name="cancellationToken">Stops the engine; the enumeration then throws <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="FaultException">The engine refused the request, failed or is lost, or a standby attempt was not continued in time.</exception>
    public async IAsyncEnumerable<GenerateFrame> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var trace = AttemptTrace.Begin(_request);
        _request = trace?.Request ?? _request;
        GenerateFrame? last = null;
        var tokens = 0L;
        try
        {
            using (this)
            {
                var lost = _liveness.Lost;
                using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lost);
                var isFirst = true;
                _measure = _adaptation?.Begin();
                await using var frames = Start(either.Token).GetAsyncEnumerator(either.Token);
                while (true)
                {
                    var asked = _measure is null ? 0 : _time.GetTimestamp();
                    try
                    {
                        if (!await frames.MoveNextAsync())
                            break;
                    }
                    catch (Exception failure)
                    {
                        throw Translate(failure, lost, cancellationToken);
                    }

                    var frame = frames.Current;
                    _measure?.Received(frame, _time.GetElapsedTime(asked));
                    _liveness.Spoke();
                    if (last is not null || isFirst != frame.Start is not null)
                        throw Failed("the engine sent frames out of order");

                    if (isFirst)
                    {
                        isFirst = false;
                        frame.Load = _slots.Report(_request.Caller);
                    }

                    frame.Attempt = _request.Attempt;
                    frame.Choice = _request.Choice;
                    if (tokens == 0 && frame.Count > 0)
                        AttemptTrace.FirstToken(trace?.Span);
                    tokens += frame.Count;
                    if (frame.Finish is not null)
                    {
                        last = frame;
                        continue;
                    }

                    yield return frame;
                }
            }

            if (last is null)
                throw Failed("the engine ended without a finish");
        }
        finally
        {
            var isStopped = cancellationToken.IsCancellationRequested;
            _tally.Count(tokens, isFinished: last is not null, isStopped);
            AttemptTrace.End(trace?.Span, tokens, isFinished: last is not null, isStopped);
        }

        _log.Succeeded();
        last.Load = _slots.Report(_request.Caller);
        yield return last;
    }

    public void Dispose()
    {
        _standby?.Dispose();
        _lease.Dispose();
    }

    private IAsyncEnumerable<GenerateFrame> Start(CancellationToken cancellationToken)
    {
        try
        {
            return _standby is null
                ? _engine.GenerateAsync(_request, cancellationToken)
                : _engine.GenerateStandbyAsync(_request, _standby.ContinuedAsync, cancellationToken);
        }
        catch (Exception exception) when (exception is not FaultException)
        {
            throw Failed($"the engine failed: {exception.GetType().Name}", exception);
        }
    }

    // An engine's failure as the gateway gets it.
    private Exception Translate(Exception failure, CancellationToken lost, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return new OperationCanceledException(cancellationToken);
        if (failure is OperationCanceledException && lost.IsCancellationRequested)
            return Logged(_liveness.LostException(wasBegun: true));
        if (failure is not FaultException fault)
            return Failed($"the engine failed: {failure.GetType().Name}", failure);
        if (fault.Fault == Fault.NoFinish)
            _measure?.EndedWithoutFinish();

        return Logged(fault);
    }

    private FaultException Failed(string message, Exception? cause = null) => Logged(new FaultException(Fault.EngineFailed, message, cause));

    private FaultException Logged(FaultException exception)
    {
        if (exception.Fault.Class() is FaultClass.Engine or FaultClass.Connection)
            _log.Failed(_request, exception);

        return exception;
    }
}
