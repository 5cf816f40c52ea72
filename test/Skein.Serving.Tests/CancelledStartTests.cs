using System.Net;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Skein.Engines;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

/// <summary>A replica that is told to stop while it starts.</summary>
public sealed class CancelledStartTests
{
    /// <summary>The work ended with the token of the start, which the host logged as a crash.</summary>
    [Fact]
    public async Task Start_IsCancelled_WorkOfTheEngineEndsWhenTheReplicaDoes()
    {
        using var start = new CancellationTokenSource();
        var engine = new WorkingEngine();
        var app = ReplicaApp.Build(
            new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) }, engine,
            builder => builder.Services.AddSingleton<IHostedService>(new CancelsTheStart(start, engine)));

        await Record.ExceptionAsync(() => app.StartAsync(start.Token));

        Assert.True(start.IsCancellationRequested);
        var work = await engine.Working.WaitAsync(TestReplica.Deadline, TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.False(work.IsCancellationRequested);
        await app.DisposeAsync();
        Assert.True(work.IsCancellationRequested);
    }

    private sealed class WorkingEngine : IInferenceEngine
    {
        private readonly TaskCompletionSource<CancellationToken> _working = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string Kind => "working";

        /// <summary>Completes when its work runs, with the token that ends it.</summary>
        public Task<CancellationToken> Working => _working.Task;

        public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
            new(new EngineDescription([new ModelDescription { Name = "m" }], Slots: 1));

        public async IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.CompletedTask;
            yield break;
        }

        public Task RunAsync(IEngineSlots slots, CancellationToken cancellationToken)
        {
            _working.SetResult(cancellationToken);
            return Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    /// <summary>Cancels when the other services have been started, and the engine works.</summary>
    private sealed class CancelsTheStart(CancellationTokenSource start, WorkingEngine engine) : IHostedLifecycleService
    {
        public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public async Task StartedAsync(CancellationToken cancellationToken)
        {
            await engine.Working.WaitAsync(TestReplica.Deadline, TimeProvider.System, cancellationToken);
            await start.CancelAsync();
        }

        public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
