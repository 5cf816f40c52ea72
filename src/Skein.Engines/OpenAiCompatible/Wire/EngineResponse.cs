namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>An answer of a server whose status is a success, and whose body is read as it arrives. Disposed early, it closes the connection.</summary>
internal sealed class EngineResponse(HttpResponseMessage response, Stream body, EngineCall call) : IDisposable
{
    public int Status => (int)response.StatusCode;

    /// <summary>Empty: the server did not say.</summary>
    public string ContentType => Header("Content-Type");

    /// <summary>Empty: the server did not say.</summary>
    public string ContentDisposition => Header("Content-Disposition");

    /// <summary>Null: the server did not say.</summary>
    public long? ContentLength => response.Content.Headers.ContentLength;

    /// <summary>Reads what has arrived; 0 at the end.</summary>
    /// <exception cref="FaultException">The server broke the connection, or sent nothing for too long.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer)
    {
        try
        {
            var count = await body.ReadAsync(buffer, call.Token);
            call.RestartTimeout();
            return count;
        }
        catch (Exception exception) when (EngineCall.IsFailure(exception))
        {
            throw call.Translate(exception);
        }
    }

    public void Dispose()
    {
        call.Dispose();
        response.Dispose();
    }

    private string Header(string name) =>
        response.Content.Headers.NonValidated.TryGetValues(name, out var values) ? values.ToString() : "";
}
