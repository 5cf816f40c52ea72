using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Operations.Fleet;

/// <summary>A gateway answered with an error.</summary>
public sealed class GatewayRefusedException(int status, string? code, string reason) : CommandFailedException($"the gateway answered {status}: {reason}")
{
    public int Status { get; } = status;

    /// <summary>Message of the gateway; the response body if it has none.</summary>
    public string Reason { get; } = reason;

    /// <summary>True if the gateway rejected the request itself. A 404 for an unknown path carries no code and is not counted.</summary>
    public bool IsBadInput => Status is 400 or 404 && code is not null;

    public static GatewayRefusedException From(int status, string body)
    {
        try
        {
            if (JsonNode.Parse(body)?["error"] is { } error && error["message"]?.GetValue<string>() is { } message)
                return new GatewayRefusedException(status, error["code"]?.GetValue<string>(), message);
        }
        catch (Exception other) when (other is JsonException or InvalidOperationException)
        {
            // The body is not a Skein error: it is the reason as it stands.
        }
        return new GatewayRefusedException(status, null, body.Trim());
    }
}
