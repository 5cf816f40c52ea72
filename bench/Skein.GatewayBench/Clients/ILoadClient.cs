namespace Skein.GatewayBench.Clients;

/// <summary>A client of one gateway that asks for one model. Thread-safe.</summary>
internal interface ILoadClient : IDisposable
{
    /// <summary>Sends one request and reads its answer to the end.</summary>
    /// <param name="stream">Number of the stream, from 0; streams are spread over the connections by it.</param>
    /// <param name="tokens">Tokens of the answer.</param>
    /// <param name="times">Where to record what the client waits for.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <returns>Tokens that the answer had.</returns>
    Task<int> AskAsync(int stream, int tokens, LoadTimes times, CancellationToken cancellationToken);
}
