using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Grpc;

/// <summary>Applies to a client's protobuf call the limits that apply to calls over HTTP. Pure.</summary>
internal static class InvokeRequestCheck
{
    private const int MaxTypeChars = 1024;

    /// <param name="furtherPaths">Paths beside the default ones.</param>
    /// <exception cref="RequestRefusedException">Names the field, its value and what is allowed.</exception>
    public static void Check(InvokeRequest request, IReadOnlyList<string> furtherPaths)
    {
        Refuse("trace_parent", request.TraceParent.Length > 0);
        Refuse("trace_state", request.TraceState.Length > 0);
        Refuse("caller", request.Caller.Length > 0);
        Refuse("asked_model", request.AskedModel.Length > 0);
        Refuse("waited_ms", request.HasWaitedMs);
        Refuse("next_waited_ms", request.HasNextWaitedMs);
        if (!EnginePaths.Default.Contains(request.Path) && !furtherPaths.Contains(request.Path))
        {
            throw RequestRefusedException.Invalid(
                "path", $"'{VisibleText.Clean(request.Path)}' is not passed through; allowed: {string.Join(", ", EnginePaths.Default.Concat(furtherPaths))}");
        }
        if (request.Method is not ("" or "GET" or "POST"))
            throw RequestRefusedException.Invalid("method", $"'{VisibleText.Clean(request.Method)}' is not passed through; allowed: GET, POST");
        if (Encoding.UTF8.GetByteCount(request.Model) > RequestLimits.ModelBytes || !RequestLimits.IsModel(request.Model))
            throw RequestRefusedException.Invalid("model", $"is too long or holds a control character; allowed: {RequestLimits.ModelAllowed}, or absent");
        if ((ulong)request.ModelOffset + request.ModelLength > (ulong)request.Body.Length)
        {
            throw RequestRefusedException.Invalid(
                "model_offset", $"{request.ModelOffset} is not within the body of {request.Body.Length} bytes; allowed: a place in it");
        }
        CheckText("query", request.Query);
        CheckText("content_type", request.ContentType);
        CheckText("accept", request.Accept);
        if (request.Query.Length > 0 && request.Query[0] != '?')
            throw RequestRefusedException.Invalid("query", "does not begin with '?'; allowed: with it, or absent");
        if (!RequestLimits.Priority.Contains(request.Priority))
            throw RequestRefusedException.OutOfRange("priority", request.Priority.ToString(CultureInfo.InvariantCulture), RequestLimits.Priority.ToString());
        if (request.HasDeadlineMs && !RequestLimits.DeadlineMs.Contains(request.DeadlineMs))
        {
            throw RequestRefusedException.OutOfRange(
                "deadline_ms", request.DeadlineMs.ToString(CultureInfo.InvariantCulture), RequestLimits.DeadlineMs.ToString());
        }
    }

    private static void CheckText(string field, string text)
    {
        if (text.Length > MaxTypeChars || text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            throw RequestRefusedException.Invalid(field, $"is too long or not printable; allowed: up to {MaxTypeChars} characters of printable ASCII");
    }

    private static void Refuse(string field, bool isSet)
    {
        if (isSet)
            throw RequestRefusedException.Invalid(field, "is set by gateways; allowed: absent");
    }
}
