using Microsoft.Extensions.Logging;
using Skein.Gateway;

namespace Skein.Cli.Members;

/// <summary>Reports what became of files of keys and certificates that changed while the member runs. Thread-safe.</summary>
/// <param name="state">Of a gateway, for its status and metrics; null: only the log tells.</param>
internal sealed partial class FileReports(ILogger logger, ConfigurationState? state = null)
{
    /// <param name="files">What they hold, in the plural.</param>
    public void Applied(string files)
    {
        state?.FileApplied(files);
        Log.Applied(logger, files);
    }

    /// <param name="files">What they hold, in the plural.</param>
    public void Refused(string files, string problem)
    {
        state?.FileRefused(files, problem);
        Log.Refused(logger, files, problem);
    }

    private static partial class Log
    {
        [LoggerMessage(4013, LogLevel.Information, "The {Files} have changed and are in use")]
        public static partial void Applied(ILogger logger, string files);

        [LoggerMessage(4014, LogLevel.Error, "The changed {Files} are refused, and those before them stay in use: {Problem}")]
        public static partial void Refused(ILogger logger, string files, string problem);
    }
}
