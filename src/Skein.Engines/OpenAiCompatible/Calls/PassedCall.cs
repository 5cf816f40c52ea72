using System.Buffers;
using System.Net.Http.Headers;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Calls;

/// <summary>
/// Passes a call that is not generation to the server, and its answer back as it is. Only the model's name changes, where client and server have different
/// ones. No header of the client is sent but the types of the body and of the answer. Thread-safe.
/// </summary>
internal sealed class PassedCall(EngineHttp http)
{
    private const int BlockBytes = 16 << 10;

    /// <summary>Longest answer in which the model is renamed; a longer one keeps the server's name.</summary>
    private const int MostRenamedBytes = 32 << 20;

    /// <param name="model">The server's name of the model.</param>
    /// <exception cref="FaultException">The call is refused, or the server failed or answered with an error.</exception>
    public async IAsyncEnumerable<InvokeFrame> RunAsync(InvokeRequest request, string model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var message = MessageOf(request, model);
        using var answer = await http.SendAsync(message, cancellationToken);
        var asked = ModelName.AskedIn(request);
        if (asked.Length > 0 && asked != model && IsJson(answer.ContentType))
        {
            await foreach (var frame in ReadRenamedAsync(answer, model, asked))
                yield return frame;
            yield break;
        }

        yield return new InvokeFrame { Start = StartOf(answer, answer.ContentLength) };
        var block = new byte[BlockBytes];
        while (await answer.ReadAsync(block) is > 0 and var count)
            yield return new InvokeFrame { Body = ByteString.CopyFrom(block, 0, count) };
    }

    private static HttpRequestMessage MessageOf(InvokeRequest request, string model)
    {
        var isGet = request.Method == "GET";
        if (!isGet && request.Method is not ("" or "POST"))
            throw new FaultException(Fault.Unsupported, $"method {request.Method} is not passed on; allowed: GET, POST");

        var path = request.Path.TrimStart('/') + ModelName.PutInQuery(request, model);
        var message = new HttpRequestMessage(isGet ? HttpMethod.Get : HttpMethod.Post, new Uri(path, UriKind.Relative));
        EngineHttp.Identify(message.Headers, request.RequestId, request.TraceParent, request.TraceState);
        if (request.Accept.Length > 0)
            message.Headers.TryAddWithoutValidation("Accept", request.Accept);
        if (isGet)
            return message;

        message.Content = new ReadOnlyMemoryContent(ModelName.Put(request, model));
        if (request.ContentType.Length > 0)
            message.Content.Headers.TryAddWithoutValidation("Content-Type", request.ContentType);
        return message;
    }

    private static async IAsyncEnumerable<InvokeFrame> ReadRenamedAsync(EngineResponse answer, string model, string asked)
    {
        var body = new ArrayBufferWriter<byte>(BlockBytes);
        while (body.WrittenCount <= MostRenamedBytes)
        {
            if (await answer.ReadAsync(body.GetMemory(BlockBytes)) is > 0 and var count)
            {
                body.Advance(count);
                continue;
            }

            var renamed = ModelName.Replace(body.WrittenMemory, model, asked);
            yield return new InvokeFrame { Start = StartOf(answer, renamed.Length) };
            for (var at = 0; at < renamed.Length; at += BlockBytes)
                yield return new InvokeFrame { Body = ByteString.CopyFrom(renamed.Span[at..Math.Min(renamed.Length, at + BlockBytes)]) };
            yield break;
        }

        yield return new InvokeFrame { Start = StartOf(answer, answer.ContentLength) };
        for (var at = 0; at < body.WrittenCount; at += BlockBytes)
            yield return new InvokeFrame { Body = ByteString.CopyFrom(body.WrittenSpan[at..Math.Min(body.WrittenCount, at + BlockBytes)]) };
        var block = new byte[BlockBytes];
        while (await answer.ReadAsync(block) is > 0 and var more)
            yield return new InvokeFrame { Body = ByteString.CopyFrom(block, 0, more) };
    }

    private static InvokeStart StartOf(EngineResponse answer, long? length)
    {
        var start = new InvokeStart { Status = (uint)answer.Status, ContentType = answer.ContentType, ContentDisposition = answer.ContentDisposition };
        if (length is { } known)
            start.ContentLength = (ulong)known;
        return start;
    }

    private static bool IsJson(string contentType) =>
        MediaTypeHeaderValue.TryParse(contentType, out var type)
        && (type.MediaType is "application/json" || type.MediaType?.EndsWith("+json", StringComparison.OrdinalIgnoreCase) == true);
}
