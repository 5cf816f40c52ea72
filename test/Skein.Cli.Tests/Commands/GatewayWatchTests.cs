using Microsoft.Extensions.Time.Testing;
using Skein.Cli.Commands;
using Skein.Operations;

namespace Skein.Cli.Tests.Commands;

public sealed class GatewayWatchTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly List<string> _shown = [];
    private readonly Queue<Func<string>> _answers = [];
    private readonly SemaphoreSlim _isShown = new(0);
    private readonly CancellationTokenSource _stop = new();

    /// <summary><c>status --watch</c> ended at the first question without an answer.</summary>
    [Fact]
    public async Task Run_GatewayIsSilentForAWhile_ShowsTheLastAnswerAndForHowLong()
    {
        _answers.Enqueue(() => "first");
        _answers.Enqueue(() => throw new CommandFailedException("connection refused"));
        _answers.Enqueue(() => throw new CommandFailedException("connection refused"));
        _answers.Enqueue(() => "second");

        await RunAsync();

        Assert.Equal(["first", "first, no answer for 1 s: connection refused", "first, no answer for 2 s: connection refused", "second"], _shown);
    }

    [Fact]
    public async Task Run_FirstQuestionIsNotAnswered_Fails()
    {
        _answers.Enqueue(() => throw new CommandFailedException("connection refused"));

        await Assert.ThrowsAsync<CommandFailedException>(RunAsync);
    }

    public void Dispose()
    {
        _isShown.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        var watching = GatewayWatch.RunAsync(_ => Task.FromResult(_answers.Dequeue()()), Show, _time, _stop.Token);
        while (await Task.WhenAny(watching, _isShown.WaitAsync(TestContext.Current.CancellationToken)) != watching)
            _time.Advance(TimeSpan.FromSeconds(1));
        await watching;
    }

    private void Show(string answer, string? problem)
    {
        _shown.Add(problem is null ? answer : $"{answer}, {problem}");
        if (_answers.Count == 0)
            _stop.Cancel();
        _isShown.Release();
    }
}
