namespace Skein.Serving;

/// <summary>What the attempts of one engine came to since the start. Thread-safe.</summary>
internal sealed class EngineTally
{
    private long _tokens;
    private long _finished;
    private long _failed;
    private long _stopped;

    /// <summary>Tokens that the engine generated, those of attempts that were lost included.</summary>
    public long Tokens => Interlocked.Read(ref _tokens);

    /// <summary>Attempts that ended with a finish.</summary>
    public long Finished => Interlocked.Read(ref _finished);

    /// <summary>Attempts that the engine refused or lost.</summary>
    public long Failed => Interlocked.Read(ref _failed);

    /// <summary>Attempts that their gateway stopped: the client was gone, or another replica went on.</summary>
    public long Stopped => Interlocked.Read(ref _stopped);

    public void Count(long tokens, bool isFinished, bool isStopped)
    {
        Interlocked.Add(ref _tokens, tokens);
        Interlocked.Increment(ref isFinished ? ref _finished : ref isStopped ? ref _stopped : ref _failed);
    }
}
