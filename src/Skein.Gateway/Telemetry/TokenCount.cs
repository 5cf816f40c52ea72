namespace Skein.Gateway.Telemetry;

/// <summary>Tokens of one answer as far as its frames have arrived. Not thread-safe.</summary>
internal struct TokenCount
{
    private TokenUnit _unit;
    private long _chunks;

    public long Input { get; private set; }

    public long Output { get; private set; }

    /// <summary>Prompt and answer. A chunk counts as a token until the engine tells how many it were.</summary>
    public readonly long Sum => Input + Output + _chunks;

    public void Add(GenerateFrame frame)
    {
        if (frame.Start is { } start)
        {
            _unit = start.Unit;
            Input = start.PromptTokens;
        }

        if (_unit == TokenUnit.Token)
            Output += frame.Count;
        else
            _chunks += frame.Count;

        // An engine that sends chunks instead of tokens counts its tokens itself.
        if (_unit == TokenUnit.Chunk && frame.Finish is { Usage: { } usage })
        {
            Input = usage.PromptTokens;
            Output += usage.CompletionTokens;
            _chunks = 0;
        }
    }
}
