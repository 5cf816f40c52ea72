using Skein.Load.Measuring;

namespace Skein.Load.Targets;

/// <summary>One server under load. Safe for concurrent calls.</summary>
internal interface IBenchTarget : IDisposable
{
    /// <summary>The model that is asked for.</summary>
    string Model { get; }

    /// <summary>Asks one prompt and takes down the answer as it comes. Returns when the stream has ended, complete or not.</summary>
    /// <exception cref="BenchRequestException">The request was refused, or the stream ended in an error.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    Task AskAsync(string prompt, AnswerRecorder answer, CancellationToken cancellationToken);
}
