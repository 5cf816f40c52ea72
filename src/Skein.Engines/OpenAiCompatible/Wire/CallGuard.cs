using System.Text.Json;
using Skein.Protocol;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Gives the failures of HTTP calls their names.</summary>
/// <param name="engine">The server, for messages.</param>
/// <param name="patience">The bound that any cancellation but the caller's own is due to.</param>
/// <param name="cancellationToken">The caller's own.</param>
internal readonly struct CallGuard(string engine, TimeSpan patience, CancellationToken cancellationToken)
{
    /// <exception cref="FaultException">The call failed.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    public async Task<T> RunAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (OperationCanceledException exception) when (exception.InnerException is TimeoutException && !cancellationToken.IsCancellationRequested)
        {
            // As the sockets tell that no connection was made in time.
            throw new FaultException(Fault.Unreachable, $"{engine} cannot be reached: {exception.InnerException.Message}", exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new FaultException(Fault.EngineTimedOut, $"{engine} said nothing for {patience.TotalSeconds:0.#} s", exception);
        }
        catch (HttpRequestException exception) when (IsOfConnecting(exception.HttpRequestError) && !cancellationToken.IsCancellationRequested)
        {
            throw new FaultException(Fault.Unreachable, $"{engine} cannot be reached: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException && !cancellationToken.IsCancellationRequested)
        {
            throw new FaultException(Fault.ConnectionLost, $"{engine} broke off: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            throw new OperationCanceledException("cancelled by the caller", exception, cancellationToken);
        }
        catch (JsonException exception)
        {
            throw new FaultException(Fault.EngineFailed, $"{engine} sent an event that is no JSON", exception);
        }
    }

    private static bool IsOfConnecting(HttpRequestError error) =>
        error is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError;
}
