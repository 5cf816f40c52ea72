using System.Runtime.CompilerServices;

namespace Skein.Serving;

/// <summary>
/// One admitted call that is not generation. It keeps its slot until it was read to its end, or until it is disposed without having been read. It is read
/// once, by one reader.
/// </summary>
public sealed class EngineInvocation : IDisposable
{
    private readonly IInferenceEngine _engine;
    private readonly InvokeRequest _request;
    private readonly SlotLease _lease;
    private readonly EngineLivenessMonitor _liveness;
    private readonly EngineFaultLog _log;

    internal EngineInvocation(IInferenceEngine engine, InvokeRequest request, SlotLease lease, EngineLivenessMonitor liveness, EngineFaultLog log) =>
        (_engine, _request, _lease, _liveness, _log) = (engine, request, lease, liveness, log);

    /// <summary>Calls the engine and reads its answer.</summary>
    /// <param name="cancellationToken">Stops the call; the enumeration then throws <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="FaultException">The engine refused the call, failed or is lost.</exception>
    public async IAsyncEnumerable<InvokeFrame> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using (this)
        {
            var lost = _liveness.Lost;
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lost);
            await using var frames = Start(either.Token).GetAsyncEnumerator(either.Token);
            var isFirst = true;
            while (true)
            {
                try
                {
                    if (!await frames.MoveNextAsync())
                        break;
                }
                catch (Exception failure)
                {
                    throw Translate(failure, lost, cancellationToken);
                }

                _liveness.Spoke();
                if (isFirst != frames.Current.Start is not null)
                    throw Failed("the engine sent parts of its answer out of order");

                isFirst = false;
                yield return frames.Current;
            }

            if (isFirst)
                throw Failed("the engine ended without an answer");
        }

        _log.Succeeded();
    }

    public void Dispose() => _lease.Dispose();

    private IAsyncEnumerable<InvokeFrame> Start(CancellationToken cancellationToken)
    {
        try
        {
            return _engine.InvokeAsync(_request, cancellationToken);
        }
        catch (Exception exception) when (exception is not FaultException)
        {
            throw Failed($"the engine failed: {exception.GetType().Name}", exception);
        }
    }

    private Exception Translate(Exception failure, CancellationToken lost, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return new OperationCanceledException(cancellationToken);
        if (failure is OperationCanceledException && lost.IsCancellationRequested)
            return Logged(_liveness.LostException(wasBegun: true));
        return failure is FaultException fault ? Logged(fault) : Failed($"the engine failed: {failure.GetType().Name}", failure);
    }

    private FaultException Failed(string message, Exception? cause = null) => Logged(new FaultException(Fault.EngineFailed, message, cause));

    private FaultException Logged(FaultException exception)
    {
        if (exception.Fault.Class() is FaultClass.Engine or FaultClass.Connection)
            _log.Failed(_request, exception);

        return exception;
    }
}
