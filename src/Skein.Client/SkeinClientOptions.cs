namespace Skein.Client;

/// <summary>Where a <see cref="SkeinChatClient"/> sends its requests, and how long it waits. Immutable.</summary>
public sealed record SkeinClientOptions
{
    /// <summary>Base URL of the OpenAI-compatible API of a gateway or of a load balancer before gateways, such as <c>http://127.0.0.1:8080/v1</c>.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>Model of requests that name none.</summary>
    public required string Model { get; init; }

    /// <summary>API key of the gateway. Default (null): none.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Longest sum of the waits between the attempts of one request. 0 to 1 h; 0: no attempt is repeated. Default 60 s.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Longest wait for the next bytes of an answer. 1 s to 1 h. Default 5 min. A gateway sends a sign of life at least every 15 s.</summary>
    public TimeSpan SilenceTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    internal void Validate()
    {
        if (Endpoint is not { IsAbsoluteUri: true, Scheme: "http" or "https" })
            throw new ArgumentException($"Endpoint is {Endpoint}; allowed: an absolute http or https URL");
        if (string.IsNullOrWhiteSpace(Model))
            throw new ArgumentException($"Model is '{Model}'; allowed: the name of a model");
        if (MaxWait < TimeSpan.Zero || MaxWait > TimeSpan.FromHours(1))
            throw new ArgumentException($"MaxWait is {MaxWait}; allowed: 0 to 1 hour");
        if (SilenceTimeout < TimeSpan.FromSeconds(1) || SilenceTimeout > TimeSpan.FromHours(1))
            throw new ArgumentException($"SilenceTimeout is {SilenceTimeout}; allowed: 1 second to 1 hour");
    }
}
