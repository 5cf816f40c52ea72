using Microsoft.Extensions.Logging;
using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>Logs the changes of breakers.</summary>
internal sealed partial class BreakerLog(ILogger logger)
{
    public void Changed(BreakerChange change)
    {
        if (change.Reason is { } reason)
            Log.Ejected(logger, change.Replica, reason.ToWireName());
        else if (change.IsSpared)
            Log.Spared(logger, change.Replica);
        else
            Log.Recovered(logger, change.Replica);
    }

    private static partial class Log
    {
        [LoggerMessage(3220, LogLevel.Warning, "{Replica} fails ({Reason}): it gets only trial requests until two in a row succeed")]
        public static partial void Ejected(ILogger logger, ReplicaId replica, string reason);

        [LoggerMessage(3221, LogLevel.Information, "{Replica} succeeds again")]
        public static partial void Recovered(ILogger logger, ReplicaId replica);

        [LoggerMessage(3222, LogLevel.Debug, "{Replica} gets requests again although it failed: too few other replicas are left")]
        public static partial void Spared(ILogger logger, ReplicaId replica);
    }
}
