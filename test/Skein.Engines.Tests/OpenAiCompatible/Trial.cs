namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>Waits until an engine has tried the models of its server: a slow one is tried while it serves.</summary>
internal static class Trial
{
    public static async Task EndedAsync(IInferenceEngine engine, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var slots = new FreeSlots();
        var running = engine.RunAsync(slots, stop.Token);
        if ((await engine.DescribeAsync(cancellationToken)).Models.Any(model => model.ResumeReason.Contains("not proven yet", StringComparison.Ordinal)))
        {
            await slots.Changed.WaitAsync(cancellationToken);
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private sealed class FreeSlots : IEngineSlots
    {
        private readonly TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Changed => _changed.Task;

        public IDisposable TryTake() => new CancellationTokenSource();

        public void DescriptionChanged(EngineDescription description) => _changed.TrySetResult();
    }
}
