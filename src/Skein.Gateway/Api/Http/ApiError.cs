namespace Skein.Gateway.Api.Http;

/// <summary>An error of a request over HTTP.</summary>
/// <param name="Code">The gateway's code: also the outcome in metrics.</param>
/// <param name="Param">The field or header with the error; null if there is none.</param>
/// <param name="RetryAfter">When the client should retry; null if a retry does not help.</param>
internal sealed record ApiError(int Status, string Type, string Code, string Message, string? Param = null, TimeSpan? RetryAfter = null) : IResult
{
    /// <summary>A refusal; its status tells whether the client can correct the request.</summary>
    public static ApiError Of(int status, string code, string message) =>
        new(status, status < 500 ? ClientError.InvalidRequestType : ClientError.ServerType, code, message);

    /// <summary>The engine's error, whose code the client gets; null if the error is the gateway's own.</summary>
    public EngineError? Engine { get; init; }

    /// <summary>The code that the client gets in place of <see cref="Code"/>, for an error of one field; null: the same.</summary>
    public string? FieldCode { get; init; }

    /// <summary>What the client gets for an exception. The cause of an unexpected one goes to the log only.</summary>
    public static ApiError From(Exception error, string requestId)
    {
        if (error is RequestRefusedException refused)
            return new(refused.Status, ClientError.InvalidRequestType, refused.Code, refused.Message, refused.Field);
        // What a replica sends and cannot be shown is its fault, not the gateway's.
        var failure = error as FaultException ?? (error is InvalidDataException
            ? new FaultException(Fault.ProtocolError, $"the replica's answer cannot be written; the gateway's log tells more about request {requestId}", error)
            : null);
        var client = failure?.Fault.ToClientError() ?? ClientError.Internal;
        if (failure is { Engine: { } engine })
            return FromEngine(engine, client, failure);
        var message = failure?.Message ?? $"the gateway failed; its log tells more about request {requestId}";
        var param = failure?.Param ?? (failure?.Fault == Fault.ModelNotFound ? "model" : null);
        return new(client.Http, client.Type, client.Code, message, param, failure?.RetryAfter)
        {
            FieldCode = failure switch
            {
                { Fault: Fault.Unsupported, Param: not null } => RequestRefusedException.UnsupportedParameter,
                { Fault: Fault.Unsupported } => Fault.Unsupported.ToWireName(),
                { Fault: Fault.InvalidRequest, Param: not null } => RequestRefusedException.InvalidValue,
                _ => null,
            },
        };
    }

    /// <summary>The engine's error in its own words.</summary>
    private static ApiError FromEngine(EngineError engine, ClientError client, FaultException failure)
    {
        // Clients recognise an overflow by this code, which few engines give.
        if (failure.Fault == Fault.ContextLengthExceeded && (engine.Code is null || engine.CodeIsNumber))
            engine = engine with { Code = client.Code, CodeIsNumber = false };
        var type = engine.Status switch
        {
            429 => ClientError.BusyType,
            < 500 => ClientError.InvalidRequestType,
            _ => ClientError.ServerType,
        };
        return new(engine.Status, engine.Type ?? type, client.Code, engine.Message, engine.Param, engine.RetryAfter ?? failure.RetryAfter) { Engine = engine };
    }

    /// <summary>Sends the error as the response. The response must not have started.</summary>
    /// <param name="dialect">Whose format to use; null: the format of <see cref="WriteBody"/>.</param>
    public async Task SendAsync(HttpContext http, IApiDialect? dialect = null)
    {
        var bytes = new ArrayBufferWriter<byte>(512);
        if (dialect is null)
            WriteBody(bytes);
        else
            dialect.WriteError(this, bytes);
        var response = http.Response;
        response.StatusCode = Status;
        if (RetryAfter is { } wait)
        {
            var milliseconds = Math.Max(1, (long)Math.Ceiling(wait.TotalMilliseconds));
            response.Headers["retry-after-ms"] = milliseconds.ToString(CultureInfo.InvariantCulture);
            response.Headers.RetryAfter = ((milliseconds + 999) / 1000).ToString(CultureInfo.InvariantCulture);
        }
        await SendJsonAsync(http, bytes.WrittenMemory);
    }

    Task IResult.ExecuteAsync(HttpContext httpContext) => SendAsync(httpContext);

    /// <summary>Sends a JSON body. Status and headers are the caller's.</summary>
    public static async Task SendJsonAsync(HttpContext http, ReadOnlyMemory<byte> body)
    {
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        await http.Response.BodyWriter.WriteAsync(body, http.RequestAborted);
    }

    /// <summary>Writes <c>{"error":{"message","type","param","code"}}</c>: OpenAI's format, also used for paths that belong to no dialect.</summary>
    public void WriteBody(IBufferWriter<byte> output)
    {
        var json = new JsonSink(output);
        json.Raw("{\"error\":{\"message\":"u8);
        json.Text(Message);
        json.Raw(",\"type\":"u8);
        json.Text(Type);
        json.Raw(",\"param\":"u8);
        json.Text(Param);
        json.Raw(",\"code\":"u8);
        if (Engine is { CodeIsNumber: true, Code: { } number })
            json.Raw(Encoding.ASCII.GetBytes(number));
        else
            json.Text(Engine is null ? FieldCode ?? Code : Engine.Code);
        json.Raw("}}"u8);
        json.Complete();
    }
}
