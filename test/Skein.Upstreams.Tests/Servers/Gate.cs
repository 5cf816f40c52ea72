namespace Skein.Upstreams.Tests.Servers;

/// <summary>Holds answers back in their middle until the test opens it. Thread-safe.</summary>
internal sealed class Gate
{
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Open() => _opened.TrySetResult();

    /// <summary>Waits, or until the client has left.</summary>
    public Task PassAsync(Exchange exchange) => exchange.UntilAsync(_opened.Task);

    /// <summary>A text, the gate, another text, and the end of the answer.</summary>
    /// <param name="after">Empty: no text comes after the gate.</param>
    /// <param name="isHeld">Whether an answer waits for the gate. Default: all do.</param>
    public Answer Between(string before, string after = "", Predicate<ScriptedRequest>? isHeld = null) => async exchange =>
    {
        await exchange.StreamAsync();
        await exchange.TextAsync(before);
        if (isHeld?.Invoke(exchange.Request) ?? true)
            await PassAsync(exchange);
        if (after.Length > 0)
            await exchange.TextAsync(after);
        await exchange.FinishAsync();
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    };
}
