using System.Text.Json;
using Skein.Protocol;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Turns the failures of HTTP calls into <see cref="FaultException"/>.</summary>
/// <param name="engine">The server, for messages.</param>
/// <param name="timeout">The timeout behind every cancellation that is not the caller's.</param>
/// <param name="cancellationToken">The caller's.</param>
internal readonly struct CallGuard(string engine, TimeSpan timeout, CancellationToken cancellationToken)
{
    /// <summary>Whether <see cref="Translate"/> handles the exception.</summary>
    public static bool IsFailure(Exception exception) => exception is OperationCanceledException or HttpRequestException or IOException or JsonException;

    /// <exception cref="FaultException">The call failed.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    public async Task<T> RunAsync<T>(Task<T> call)
    {
        try
        {
            return await call;
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            throw Translate(exception);
        }
    }

    /// <summary>The exception to throw instead.</summary>
    public Exception Translate(Exception exception) => exception switch
    {
        JsonException => new FaultException(Fault.EngineFailed, $"{engine} sent an event that is not JSON", exception),
        _ when cancellationToken.IsCancellationRequested => new OperationCanceledException("cancelled by the caller", exception, cancellationToken),
        // A connect timeout arrives as a cancellation with this cause.
        OperationCanceledException { InnerException: TimeoutException cause } => Unreachable(cause, exception),
        OperationCanceledException => new FaultException(Fault.EngineTimedOut, $"{engine} sent nothing for {timeout.TotalSeconds:0.#} s", exception),
        HttpRequestException failed when IsConnecting(failed.HttpRequestError) => Unreachable(exception, exception),
        _ => new FaultException(Fault.ConnectionLost, $"{engine} broke the connection: {exception.Message}", exception),
    };

    private FaultException Unreachable(Exception cause, Exception exception) =>
        new(Fault.Unreachable, $"{engine} cannot be reached: {cause.Message}", exception);

    private static bool IsConnecting(HttpRequestError error) =>
        error is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError;
}
