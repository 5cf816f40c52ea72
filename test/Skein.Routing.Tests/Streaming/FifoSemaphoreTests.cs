using Skein.Routing.Streaming;

namespace Skein.Routing.Tests.Streaming;

public sealed class FifoSemaphoreTests
{
    [Fact]
    public async Task Enter_AllPlacesTaken_WaitsInOrderAndSkipsWhoGaveUp()
    {
        var turnstile = new FifoSemaphore(1);
        IDisposable first = await turnstile.EnterAsync(default);
        using var impatient = new CancellationTokenSource();
        Task<IDisposable> second = turnstile.EnterAsync(impatient.Token).AsTask();
        Task<IDisposable> third = turnstile.EnterAsync(default).AsTask();
        Task<IDisposable> fourth = turnstile.EnterAsync(default).AsTask();

        impatient.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.False(third.IsCompleted);
        first.Dispose();
        IDisposable next = await third;
        Assert.False(fourth.IsCompleted);
        next.Dispose();
        (await fourth).Dispose();

        Assert.True(turnstile.EnterAsync(default).AsTask().IsCompletedSuccessfully);
    }
}
