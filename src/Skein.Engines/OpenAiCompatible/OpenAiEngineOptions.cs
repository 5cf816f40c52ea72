namespace Skein.Engines.OpenAiCompatible;

/// <summary>Which server to use, and what it cannot tell of itself. Immutable.</summary>
public sealed record OpenAiEngineOptions
{
    /// <summary>Address of the server: http or https, with or without a trailing <c>/v1</c>, without user name, query and fragment.</summary>
    public required Uri BaseUrl { get; init; }

    /// <summary>Whose server it is. Default: found out when connecting.</summary>
    public OpenAiEngineKind Kind { get; init; }

    /// <summary>
    /// Sent as <c>Authorization: Bearer</c>; printable ASCII. To be read from a file or the environment, never from a flag. Default (null): none.
    /// </summary>
    public string? ApiKey { get; init; }

    /// <summary>The one model to serve, as the server names it. Default (null): all that the server lists.</summary>
    public string? Model { get; init; }

    /// <summary>
    /// Requests the server runs at the same time, 1 to 10,000. Default (null): what the server tells (llama.cpp, SGLang); required for the others.
    /// </summary>
    public int? Slots { get; init; }

    /// <summary>
    /// Fingerprint of all its models, 1 to 128 characters of printable ASCII: the operator declares that servers with the same value are
    /// interchangeable. Default (null): a hash over what the server tells of itself; see docs/engines.md for what that proves.
    /// </summary>
    public string? Fingerprint { get; init; }

    /// <summary>
    /// The operator declares that the server computes the same bits for a token whether it is part of the prompt or was just generated, alone or in
    /// a batch: greedy answers are then resumed <c>exact</c> instead of <c>tokens</c>. llama.cpp on a CPU does with <c>-ctk f32 -ctv f32 -fa off</c>
    /// (docs/engines.md: measured). Default: false.
    /// </summary>
    public bool IsBitExact { get; init; }

    /// <summary>
    /// Whether chats go through the server's own chat call, which parses reasoning but resumes by text only. Default (null): where the model's
    /// template, as far as the server shows it, speaks of reasoning (llama.cpp); elsewhere false. To be set for vLLM with a reasoning parser.
    /// </summary>
    public bool? UsesChatCall { get; init; }

    /// <summary>How long to wait for a server that is not up yet, 0 to 1 hour. Default: 0, it must be up.</summary>
    public TimeSpan StartTimeout { get; init; }

    /// <summary>Bound for a connection to be made, above 0, to 1 hour. Default: 5 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Bound for each call that is not generation, above 0, to 1 hour; the replica's questions for a sign of life too, so to be no shorter than its patience
    /// with the engine. Default: 30 s.
    /// </summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Longest silence of a stream, its first event included, above 0, to 1 hour. Default: 5 minutes.</summary>
    public TimeSpan SilenceTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Checks all that can be checked without the server.</summary>
    /// <exception cref="ArgumentException">An option is out of its range; the message names it, its value and what is allowed.</exception>
    public void Validate() => OptionChecks.Check(this);

    /// <summary>Without the key: options end up in logs.</summary>
    public override string ToString() => $"{Kind.ToWireName()} at {BaseUrl}";
}
