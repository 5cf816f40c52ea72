using Skein.Load.Measuring;

namespace Skein.Load.Targets;

/// <summary>A server under load. Safe for concurrent calls.</summary>
internal interface IBenchTarget : IDisposable
{
    string Model { get; }

    /// <summary>Sends one prompt and records the answer as it arrives. Returns when the stream has ended, complete or not.</summary>
    /// <exception cref="BenchRequestException">The request was rejected, or the stream ended with an error.</exception>
    Task AskAsync(string prompt, AnswerRecorder answer, CancellationToken cancellationToken);
}
