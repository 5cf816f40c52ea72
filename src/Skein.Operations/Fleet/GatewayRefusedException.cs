using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Operations.Fleet;

/// <summary>A gateway answered with an error.</summary>
public sealed class GatewayRefusedException(int status, string? code, string reason) : CommandFailedException($"the gateway answered {status}: {reason}")
{
    /// <summary>HTTP status.</summary>
    public int Status { get; } = status;

    /// <summary>The gateway's own words.</summary>
    public string Reason { get; } = reason;

    /// <summary>What the user asked for is wrong, says the gateway. A page that it does not know has no code.</summary>
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
            // No error of ours: the body itself says what there is to say.
        }
        return new GatewayRefusedException(status, null, body.Trim());
    }
}
