using System.Text.Json;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Turns the failures of HTTP calls into <see cref="EngineException"/>.</summary>
/// <param name="engine">The server, for messages.</param>
/// <param name="timeout">The timeout behind every cancellation that is not the caller's.</param>
/// <param name="cancellationToken">The caller's.</param>
internal readonly struct CallGuard(string engine, TimeSpan timeout, CancellationToken cancellationToken)
{
    /// <exception cref="EngineException">The call failed.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    public async Task<T> RunAsync<T>(Task<T> call)
    {
        var guard = this;
        try
        {
            return await call;
        }
        catch (Exception exception) when (guard.Translate(exception) is { } failure)
        {
            throw failure;
        }
    }

    /// <summary>What to throw instead; null: the exception itself.</summary>
    public Exception? Translate(Exception exception)
    {
        var isCancelled = cancellationToken.IsCancellationRequested;
        return exception switch
        {
            // A connect timeout arrives as a cancellation with this cause.
            OperationCanceledException { InnerException: TimeoutException cause } when !isCancelled => Unreachable(cause, exception),
            OperationCanceledException when !isCancelled => new EngineException(EngineError.TimedOut, $"{engine} sent nothing for {timeout.TotalSeconds:0.#} s", exception),
            HttpRequestException or IOException when isCancelled => new OperationCanceledException("cancelled by the caller", exception, cancellationToken),
            HttpRequestException failed when IsConnecting(failed.HttpRequestError) => Unreachable(exception, exception),
            HttpRequestException or IOException => new EngineException(EngineError.Lost, $"{engine} broke the connection: {exception.Message}", exception),
            JsonException => new EngineException(EngineError.Failed, $"{engine} sent an event that is not JSON", exception),
            _ => null,
        };
    }

    private EngineException Unreachable(Exception cause, Exception exception) =>
        new(EngineError.Unreachable, $"{engine} cannot be reached: {cause.Message}", exception);

    private static bool IsConnecting(HttpRequestError error) =>
        error is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError;
}
