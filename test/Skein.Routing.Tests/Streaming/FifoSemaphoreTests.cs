using Skein.Routing.Streaming;

namespace Skein.Routing.Tests.Streaming;

public sealed class FifoSemaphoreTests
{
    [Fact]
    public async Task Enter_AllPlacesTaken_WaitsInOrderAndSkipsWhoGaveUp()
    {
        var turnstile = new FifoSemaphore(1);
        var first = await turnstile.EnterAsync(default);
        using var impatient = new CancellationTokenSource();
        var second = turnstile.EnterAsync(impatient.Token).AsTask();
        var third = turnstile.EnterAsync(default).AsTask();
        var fourth = turnstile.EnterAsync(default).AsTask();

        impatient.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.False(third.IsCompleted);
        first.Dispose();
        var next = await third;
        Assert.False(fourth.IsCompleted);
        next.Dispose();
        (await fourth).Dispose();

        Assert.True(turnstile.EnterAsync(default).AsTask().IsCompletedSuccessfully);
    }
}
