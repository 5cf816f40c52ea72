namespace Skein.Serving;

/// <summary>
/// Logs the failures of one engine: the first one as a warning, later ones for debugging only until it has worked for a while. Thread-safe.
/// </summary>
/// <param name="engine">The engine, as lines name it: its kind, and its name if it has one.</param>
internal sealed partial class EngineFaultLog(string engine, TimeProvider time, ILogger logger)
{
    /// <summary>Time without a failure after which a success ends the state.</summary>
    private static readonly TimeSpan RecoveryTime = TimeSpan.FromSeconds(10);

    private volatile FaultException? _keyRefusal;
    private long _failedAt;
    private int _isFailing;

    /// <summary>The last request's fault, if the engine refused the key; null after a success.</summary>
    public FaultException? KeyRefusal => _keyRefusal;

    public void Failed(GenerateRequest request, FaultException fault)
    {
        Volatile.Write(ref _failedAt, time.GetTimestamp());
        if (fault.Fault == Fault.EngineKeyRefused)
            _keyRefusal = fault;
        if (Interlocked.Exchange(ref _isFailing, 1) == 0)
            Log.Fails(logger, engine, request.RequestId, fault.Message);
        Log.Failed(logger, request.RequestId, request.Choice, request.Attempt, fault);
    }

    public void Succeeded()
    {
        _keyRefusal = null;
        if (Volatile.Read(ref _isFailing) != 0
            && time.GetElapsedTime(Volatile.Read(ref _failedAt)) > RecoveryTime && Interlocked.Exchange(ref _isFailing, 0) != 0)
            Log.Works(logger, engine);
    }

    private static partial class Log
    {
        [LoggerMessage(2001, LogLevel.Warning, "The {Engine} failed in request {RequestId}: {Message}. Further failures are logged at debug level")]
        public static partial void Fails(ILogger logger, string engine, string requestId, string message);

        [LoggerMessage(2012, LogLevel.Debug, "The engine failed in request {RequestId}, choice {Choice}, attempt {Attempt}")]
        public static partial void Failed(ILogger logger, string requestId, uint choice, uint attempt, Exception exception);

        [LoggerMessage(2013, LogLevel.Information, "The {Engine} works again: no request failed for a while")]
        public static partial void Works(ILogger logger, string engine);
    }
}
