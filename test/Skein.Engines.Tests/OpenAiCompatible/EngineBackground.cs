using Microsoft.Extensions.Time.Testing;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>Runs the background work of an engine.</summary>
internal sealed class EngineBackground : IEngineSlots, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public EngineBackground(IInferenceEngine engine) => _ = engine.RunAsync(this, _stop.Token);

    public int Taken { get; private set; }

    public IDisposable TryTake()
    {
        Taken++;
        return new CancellationTokenSource();
    }

    public void DescriptionChanged(EngineDescription description) => _changed.TrySetResult();

    /// <summary>Lets ten seconds pass, and waits for the change.</summary>
    public async Task ChangedAsync(FakeTimeProvider time)
    {
        time.Advance(TimeSpan.FromSeconds(10));
        await _changed.Task.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }
}
