namespace Skein.Gateway.Api.Http;

/// <summary>One HTTP API: its paths, and the formats of its requests, answers and errors. Stateless and thread-safe. See <see cref="Dialects"/>.</summary>
internal interface IApiDialect
{
    string Name { get; }

    /// <summary>The response header that carries the id of the request, beside <see cref="SkeinHeaders.RequestId"/>; null if there is none.</summary>
    string? RequestIdHeader => null;

    /// <summary>Whether errors on a path have this dialect's format, also where it maps no endpoint.</summary>
    bool Owns(PathString path) => false;

    /// <summary>Maps the endpoints. Called once.</summary>
    void Map(ApiRoutes routes);

    /// <summary>Writes the body of an error response.</summary>
    void WriteError(ApiError error, IBufferWriter<byte> output);
}

/// <summary>One endpoint of a dialect that generates text. Implementations are thread-safe.</summary>
internal interface IGenerationApi
{
    /// <summary>Name of the operation in metrics, as defined by OpenTelemetry.</summary>
    string Operation { get; }

    /// <summary>The client's name of a member that the request to the engine has, for errors. Default: the same.</summary>
    /// <param name="member">As an engine names it, such as <c>messages[2].content</c>.</param>
    string ClientMember(string member) => member;

    /// <summary>The API's own words for a request that does not fit the context, where clients look for them. Default (null): those of the fault.</summary>
    /// <param name="maxTokens">Tokens of the answer that the client asked for; null: none.</param>
    string? DescribeOverflow(FaultException overflow, uint? maxTokens) => null;

    /// <summary>Reads a request body.</summary>
    /// <param name="body">Must not change while the request runs: verbatim parts of the request reference it.</param>
    /// <exception cref="RequestRefusedException">The body is not a valid request.</exception>
    ApiRequest Read(ReadOnlyMemory<byte> body, DateTimeOffset now);
}

/// <summary>A client's request.</summary>
/// <param name="CreateWriter">
/// Creates the writer of the answer from the id of the session: an <see cref="IEventWriter"/> if the client asked for events. Called once per session.
/// </param>
internal sealed record ApiRequest(GenerateRequest Generate, Func<string, IAnswerWriter> CreateWriter)
{
    /// <summary>Several prompts instead of the one in <see cref="Generate"/>. Default (null): that one.</summary>
    public IReadOnlyList<CompletionPrompt>? Prompts { get; init; }

    /// <summary>The client's <c>metadata.user_id</c>, if that does not go to the engine. Default (null): see <see cref="GenerateRequest.Extra"/>.</summary>
    public string? UserId { get; init; }
}

/// <summary>Writes one answer in the format of its dialect: as one object, unless it is an <see cref="IEventWriter"/>. Not thread-safe.</summary>
internal interface IAnswerWriter
{
    /// <summary>True if no further frame is needed: the session is ended early. Only asked if the answer is one object.</summary>
    bool IsComplete => false;

    /// <summary>Takes the next frame, and writes what the client can already get of it.</summary>
    /// <exception cref="InvalidDataException">The replica sent something that has no representation. Nothing was written.</exception>
    void Write(GenerateFrame frame, IBufferWriter<byte> output);

    /// <summary>Writes the rest of the answer, after the last frame.</summary>
    /// <param name="comment">
    /// A line with a server-sent comment, to be written as the first line of the terminal event: some clients fail at an event of nothing but a comment.
    /// Null for none. Always null if the answer is one object.
    /// </param>
    void Complete(IBufferWriter<byte> output, string? comment);
}

/// <summary>Writes one answer as server-sent events.</summary>
internal interface IEventWriter : IAnswerWriter
{
    /// <summary>Writes an event that changes nothing for the client, while there is nothing else to send.</summary>
    /// <param name="comment">A line with a server-sent comment, to be written as the first line of the event.</param>
    void KeepAlive(IBufferWriter<byte> output, ReadOnlySpan<byte> comment);

    /// <summary>Writes an error as the last event of the stream.</summary>
    void Fail(ApiError error, IBufferWriter<byte> output);
}
