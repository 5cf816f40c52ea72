namespace Skein.EndToEnd.Support;

/// <summary>The parts of an answer that must not depend on what happened behind the gateway.</summary>
/// <param name="Text">The text.</param>
/// <param name="TokenIds">The ids, joined by blanks; empty where the API does not tell them.</param>
/// <param name="FinishReason">Why it ended.</param>
/// <param name="CompletionTokens">Its length, as usage counts it.</param>
internal sealed record Answer(string Text, string TokenIds, string FinishReason, int CompletionTokens);

/// <summary>What to ask.</summary>
/// <param name="Text">The user's message.</param>
/// <param name="MaxTokens">Longest answer.</param>
/// <param name="Temperature">0 is greedy.</param>
/// <param name="Seed">Of the sampling.</param>
/// <param name="Fault">What shall go wrong in the simulated engine, as JSON; null: nothing.</param>
/// <param name="Hedge">Whether the request asks for hedging.</param>
internal sealed record Question(string Text, int MaxTokens, float Temperature = 0, int Seed = 0, string? Fault = null, bool Hedge = false);

/// <summary>An answer that a client is reading.</summary>
internal interface IAnswerStream : IAsyncDisposable
{
    /// <summary>Name of the replica it began on.</summary>
    string Replica { get; }

    /// <summary>Failovers as the gateway reported them; null before the end, and if none happened.</summary>
    string? Failovers { get; }

    /// <summary>Longest time between two pieces.</summary>
    TimeSpan LongestPause { get; }

    /// <summary>Reads until this many pieces of text have arrived in total.</summary>
    Task ReadPiecesAsync(int count);

    /// <summary>Reads the rest; fails if the answer is incomplete or does not end cleanly.</summary>
    Task<Answer> ReadToEndAsync();
}

/// <summary>Undisturbed answers.</summary>
internal static class Undisturbed
{
    /// <summary>Asks until an answer had no failover: a busy machine can cause one.</summary>
    /// <param name="ask">Asks once.</param>
    /// <param name="context">Added to the message of a failure.</param>
    public static Task<Answer> AskAsync(Func<Task<IAnswerStream>> ask, Func<string> context) => Until.FoundAsync(
        async () =>
        {
            await using var stream = await ask();
            var answer = await stream.ReadToEndAsync();
            return stream.Failovers is null ? answer : null;
        },
        "an answer without a failover",
        TimeSpan.FromSeconds(60),
        context);
}
