using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Engines.OpenAiCompatible;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

/// <summary>A replica in front of a server that is stopped with its connections open.</summary>
public sealed class FrozenEngineTests : IAsyncLifetime
{
    private static readonly TimeSpan Tick = new ReplicaOptions().EngineTimeout / 3;
    private readonly FakeTimeProvider _time = new();
    private readonly FrozenServer _server = new();
    private IInferenceEngine _engine = null!;
    private TestReplica _replica = null!;

    public async ValueTask InitializeAsync()
    {
        _engine = await _server.ConnectAsync(_time);
        _replica = await TestReplica.StartAsync(_engine, time: _time);
    }

    public async ValueTask DisposeAsync()
    {
        await _replica.DisposeAsync();
        await _engine.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Freeze_InMidStream_StreamsAreLostAndNoWorkIsTakenUntilItAnswers()
    {
        using var first = await BeginAsync();
        using var second = await BeginAsync();
        _server.Freeze();

        var lost = new[] { first.FailureAsync(), second.FailureAsync() };
        await AdvanceUntilAsync(() => Task.FromResult(lost.All(end => end.IsCompleted)), "both streams have ended");

        foreach (var end in lost)
        {
            Assert.Equal((StatusCode.Unavailable, "ENGINE_LOST"), ReasonOf(await end));
        }

        using var late = _replica.Generate(Chat());
        Assert.Equal((StatusCode.Unavailable, "ENGINE_UNREACHABLE"), ReasonOf(await late.FailureAsync()));
        var unknown = await Assert.ThrowsAsync<RpcException>(async () => await DescribeAsync());
        Assert.Equal((StatusCode.Unavailable, "ENGINE_UNREACHABLE"), ReasonOf(unknown));
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.NotServing, await HealthAsync());
        Assert.Equal(0u, _replica.Control.Report().Running);

        _server.Thaw();
        await AdvanceUntilAsync(async () => await HealthAsync() == HealthCheckResponse.Types.ServingStatus.Serving, "the replica serves again");

        Assert.Equal("m", Assert.Single((await DescribeAsync()).Models).Name);
        using var again = await BeginAsync();
    }

    /// <summary>A call to a server has its own timeout, which does not count as an answer.</summary>
    [Fact]
    public async Task Freeze_TimeoutLongerThanACallMayTake_StreamsAreLostAllTheSame()
    {
        await _replica.DisposeAsync();
        var timeout = 2 * new OpenAiEngineOptions { BaseUrl = new Uri("http://127.0.0.1") }.CallTimeout;
        _replica = await TestReplica.StartAsync(_engine, new ReplicaOptions { EngineTimeout = timeout }, _time);
        using var stream = await BeginAsync();
        _server.Freeze();

        var lost = stream.FailureAsync();
        await AdvanceUntilAsync(() => Task.FromResult(lost.IsCompleted), "the stream has ended");

        Assert.Equal((StatusCode.Unavailable, "ENGINE_LOST"), ReasonOf(await lost));
    }

    private static GenerateRequest Chat() => new() { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") } };

    private static (StatusCode, string?) ReasonOf(RpcException end) => (end.StatusCode, end.GetRpcStatus()?.GetDetail<ErrorInfo>()?.Reason);

    private async Task<CallStream> BeginAsync()
    {
        var stream = _replica.Generate(Chat());
        while ((await stream.NextAsync()).Count == 0)
        {
            // The start.
        }

        return stream;
    }

    private async Task<DescribeResponse> DescribeAsync() => await _replica.Client.DescribeAsync(new DescribeRequest(), cancellationToken: _replica.Token);

    private async Task<HealthCheckResponse.Types.ServingStatus> HealthAsync() =>
        (await new Health.HealthClient(_replica.Channel).CheckAsync(new HealthCheckRequest(), cancellationToken: _replica.Token)).Status;

    // The call in between keeps virtual time from running hours ahead of real work such as a write.
    private async Task AdvanceUntilAsync(Func<Task<bool>> holds, string what)
    {
        while (!await holds())
        {
            Assert.False(_replica.Token.IsCancellationRequested, $"it never came that {what}");
            // In steps: a jump of the clock is a process that did not run.
            for (var step = 0; step < 10; step++)
                _time.Advance(Tick / 10);
            await HealthAsync();
        }
    }
}
