using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.Grpc;

/// <summary>
/// Stands before methods that take one message. gRPC reads a message as a whole before anybody sees it; here a gateway that is full refuses before
/// that, and what of a message has arrived counts among the bodies of requests. One that is here at first sight passes at once: its method counts it.
/// Thread-safe.
/// </summary>
internal sealed class MessageGate(IGenerationSessions sessions, ApiOptions options, RequestMemoryBudget bodies, GatewayMetrics metrics)
{
    /// <summary>One byte for the compression, four for the length.</summary>
    private const int PrefixBytes = 5;

    /// <summary>Puts the gate before a method of gRPC.</summary>
    public void Guard(EndpointBuilder endpoint)
    {
        if (endpoint.Metadata.OfType<GrpcMethodMetadata>().FirstOrDefault() is not { Method: { Type: MethodType.Unary or MethodType.ServerStreaming } method })
            return;
        var behind = endpoint.RequestDelegate!;
        var startsSession = method.FullName == InferenceGateway.GenerateMethod;
        endpoint.RequestDelegate = http => EnterAsync(http, behind, startsSession);
    }

    private Task EnterAsync(HttpContext http, RequestDelegate behind, bool startsSession)
    {
        try
        {
            if (startsSession)
                sessions.RequireRoom();
        }
        catch (SessionException full)
        {
            return RefuseAsync(http, full, startsSession);
        }
        return IsHere(http.Request.BodyReader) ? behind(http) : GatherAsync(http, behind, startsSession);
    }

    private bool IsHere(PipeReader body)
    {
        try
        {
            if (!body.TryRead(out var read))
                return false;
            var isHere = IsWhole(read);
            body.AdvanceTo(read.Buffer.Start); // nothing is examined: the next read gets it at once
            return isHere;
        }
        catch (IOException)
        {
            return true; // gRPC meets the same, and has its ways
        }
    }

    private async Task GatherAsync(HttpContext http, RequestDelegate behind, bool startsSession)
    {
        try
        {
            // Given back before the method runs: from then on that counts what it holds.
            using var share = bodies.Open(options.MaxBodyMemoryBytes);
            await GatherAsync(http.Request.BodyReader, share, http.RequestAborted);
        }
        catch (SessionException tooMuch)
        {
            await RefuseAsync(http, tooMuch, startsSession);
            return;
        }
        await behind(http);
    }

    private async Task GatherAsync(PipeReader body, RequestMemoryBudget.Share share, CancellationToken cancellationToken)
    {
        long examined = 0;
        while (true)
        {
            ReadResult read;
            try
            {
                read = await body.ReadAsync(cancellationToken);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                return; // as above
            }
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

    /// <summary>Nothing more will come, or need come: a message past its bound is refused for its prefix alone.</summary>
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

    /// <summary>gRPC's short form of an answer: the status among the headers, and no body.</summary>
    private Task RefuseAsync(HttpContext http, SessionException error, bool startsSession)
    {
        if (startsSession)
            metrics.Begin(MetricNames.UnreadOperation).End(SessionErrors.Face(error.Error).Code);
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
