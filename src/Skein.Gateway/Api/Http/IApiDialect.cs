namespace Skein.Gateway.Api.Http;

/// <summary>One HTTP API: its paths, and the formats of its requests, answers and errors. Stateless and thread-safe. See <see cref="Dialects"/>.</summary>
internal interface IApiDialect
{
    string Name { get; }

    /// <summary>Maps the endpoints. Called once.</summary>
    void Map(ApiRoutes routes);

    /// <summary>Writes the body of an error response.</summary>
    void WriteError(ApiError error, IBufferWriter<byte> output);

    /// <summary>Writes an error as the last server-sent event of a stream.</summary>
    void WriteErrorEvent(ApiError error, IBufferWriter<byte> output);
}

/// <summary>One endpoint of a dialect that generates text. Implementations are stateless and thread-safe.</summary>
internal interface IGenerationApi
{
    /// <summary>Name of the operation in metrics, as defined by OpenTelemetry.</summary>
    string Operation { get; }

    /// <summary>Reads a request body.</summary>
    /// <param name="body">Must not change while the request runs: verbatim parts of the request reference it.</param>
    /// <exception cref="RequestRefusedException">The body is not a valid request.</exception>
    ApiRequest Read(ReadOnlyMemory<byte> body, DateTimeOffset now);
}

/// <summary>A client's request.</summary>
/// <param name="Stream">Whether the client asked for server-sent events. Otherwise the answer is one object.</param>
/// <param name="CreateWriter">Creates the writer of the answer from the id of the session. Called once.</param>
internal sealed record ApiRequest(GenerateRequest Generate, bool Stream, Func<string, IAnswerWriter> CreateWriter)
{
    /// <summary>Several prompts instead of the one in <see cref="Generate"/>. Default (null): that one.</summary>
    public IReadOnlyList<CompletionPrompt>? Prompts { get; init; }
}

/// <summary>Writes one answer in the format of its dialect, as events or as one object. Not thread-safe.</summary>
internal interface IAnswerWriter
{
    /// <summary>Takes the next frame, and writes what the client can already get of it.</summary>
    /// <exception cref="InvalidDataException">The replica sent something that has no representation. Nothing was written.</exception>
    void Write(GenerateFrame frame, IBufferWriter<byte> output);

    /// <summary>Writes the rest of the answer, after the last frame.</summary>
    /// <param name="comment">A server-sent comment to place before the terminal event; null for none. Always null if the answer is one object.</param>
    void Complete(IBufferWriter<byte> output, string? comment);
}
