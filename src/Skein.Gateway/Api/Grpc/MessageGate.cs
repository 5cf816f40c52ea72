using System.Buffers.Binary;
using System.IO.Pipelines;
using Grpc.AspNetCore.Server;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Grpc;

/// <summary>
/// Runs before gRPC methods that take one message, because the library buffers a whole message first. Refuses calls while the gateway is full, and
/// counts the bytes of an arriving message in the <see cref="RequestMemoryBudget"/>; the method counts those of one that has arrived. Thread-safe.
/// </summary>
internal sealed class MessageGate(IGenerationSessions sessions, ApiOptions options, RequestMemoryBudget bodies, GatewayMetrics metrics)
{
    /// <summary>One byte for the compression flag, four for the length.</summary>
    private const int PrefixBytes = 5;

    /// <summary>A convention for the endpoints of a gRPC service.</summary>
    public void Guard(EndpointBuilder endpoint)
    {
        if (endpoint.Metadata.OfType<GrpcMethodMetadata>().FirstOrDefault() is not { Method: { Type: MethodType.Unary or MethodType.ServerStreaming } method })
            return;
        var next = endpoint.RequestDelegate!;
        var startsSession = method.FullName == InferenceGateway.GenerateMethod;
        endpoint.RequestDelegate = http => EnterAsync(http, next, startsSession);
    }

    private Task EnterAsync(HttpContext http, RequestDelegate next, bool startsSession)
    {
        try
        {
            if (startsSession)
                sessions.RequireRoom();
        }
        catch (FaultException full)
        {
            return RefuseAsync(http, full, startsSession);
        }
        return HasArrived(http.Request.BodyReader) ? next(http) : BufferAsync(http, next, startsSession);
    }

    private bool HasArrived(PipeReader body)
    {
        try
        {
            if (!body.TryRead(out var read))
                return false;
            var hasArrived = IsWhole(read);
            body.AdvanceTo(read.Buffer.Start); // nothing is marked as examined: the next read returns at once
            return hasArrived;
        }
        catch (IOException)
        {
            return true; // the library gets the same error, and handles it
        }
    }

    private async Task BufferAsync(HttpContext http, RequestDelegate next, bool startsSession)
    {
        try
        {
            // Returned before the method runs, which then counts the message itself.
            using var share = bodies.Open();
            await BufferAsync(http.Request.BodyReader, share, http.RequestAborted);
        }
        catch (FaultException full)
        {
            await RefuseAsync(http, full, startsSession);
            return;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The library gets the same error, and handles it.
        }
        await next(http);
    }

    private async Task BufferAsync(PipeReader body, RequestMemoryBudget.Share share, CancellationToken cancellationToken)
    {
        long examined = 0;
        while (true)
        {
            var read = await body.ReadAsync(cancellationToken);
            if (IsWhole(read))
            {
                body.AdvanceTo(read.Buffer.Start, read.Buffer.GetPosition(Math.Min(examined, read.Buffer.Length)));
                return;
            }
            examined = read.Buffer.Length;
            try
            {
                share.GrowTo(examined);
            }
            finally
            {
                body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            }
        }
    }

    /// <summary>True if no more bytes are needed. A message above its size limit needs only its prefix: the library refuses it.</summary>
    private bool IsWhole(ReadResult read)
    {
        if (read.IsCompleted || read.IsCanceled)
            return true;
        if (read.Buffer.Length < PrefixBytes)
            return false;
        Span<byte> prefix = stackalloc byte[PrefixBytes];
        read.Buffer.Slice(0, PrefixBytes).CopyTo(prefix);
        long length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        return length > options.MaxBodyBytes || read.Buffer.Length >= PrefixBytes + length;
    }

    /// <summary>Answers in gRPC's "Trailers-Only" form: the status is in the headers, and there is no body.</summary>
    private Task RefuseAsync(HttpContext http, FaultException error, bool startsSession)
    {
        if (startsSession)
            metrics.Begin(MetricNames.UnreadOperation).End(error.Fault.ToClientError().Code);
        var refusal = GrpcErrors.From(error);
        var response = http.Response;
        response.ContentType = "application/grpc";
        response.Headers[SkeinHeaders.RequestId] = VisibleText.RequestId(http.Request.Headers[SkeinHeaders.RequestId]);
        response.Headers.GrpcStatus = ((int)refusal.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture);
        response.Headers.GrpcMessage = Uri.EscapeDataString(refusal.Status.Detail);
        foreach (var entry in refusal.Trailers)
            response.Headers[entry.Key] = entry.IsBinary ? Convert.ToBase64String(entry.ValueBytes) : entry.Value;
        return response.CompleteAsync();
    }
}
