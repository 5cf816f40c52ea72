using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Protocol;
using Skein.Serving;

namespace Skein.Serving.Tests;

public class EngineLoadPollTests
{
    [Fact]
    public async Task Poll_EverySecond_ReportsTellTheLastAnswer()
    {
        var time = new FakeTimeProvider();
        var slots = new SlotTable(generation: 1, TimeProvider.System);
        Func<EngineLoad> load = () => new EngineLoad(250, null);
        await using var engine = new ScriptedEngine { Load = () => load() };
        var poll = new EngineLoadPoll(engine, "scripted engine", slots, time, NullLogger<EngineLoadPoll>.Instance);

        using var stop = new CancellationTokenSource();
        var polling = poll.RunAsync(stop.Token);
        await ExpectAsync(250);
        load = () => new EngineLoad(900, null);
        await ExpectAsync(900);
        load = () => throw new FaultException(Fault.EngineFailed, "gone");
        await ExpectAsync(0);
        load = () => new EngineLoad(100, null);
        await ExpectAsync(100);
        load = () => EngineLoad.Unknown;
        await ExpectAsync(0);
        await stop.CancelAsync();
        await polling;

        async Task ExpectAsync(uint permille)
        {
            using var deadline = new CancellationTokenSource(TestReplica.Deadline, TimeProvider.System);
            while (slots.Report().KvUsedPermille != permille)
            {
                Assert.False(deadline.IsCancellationRequested, $"reports say {slots.Report().KvUsedPermille} instead of {permille}");
                time.Advance(TimeSpan.FromSeconds(1));
                await Task.Yield();
            }
        }
    }
}
