namespace Skein.EndToEnd.Support;

/// <summary>Clients that ask one question after the other until they are stopped. Each answer is compared with the undisturbed one.</summary>
internal sealed class ConstantLoad : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _clients;
    private int _answers;

    /// <param name="client">Of the gateway.</param>
    /// <param name="expected">Questions with their answers.</param>
    /// <param name="clients">How many ask at the same time.</param>
    public ConstantLoad(HttpClient client, IReadOnlyList<(Question Question, Answer Answer)> expected, int clients) =>
        _clients = [.. Enumerable.Range(0, clients).Select(index => AskOnAsync(client, expected, index))];

    /// <summary>Right answers so far.</summary>
    public int Answers => Volatile.Read(ref _answers);

    /// <summary>Waits for the last answers; fails if any was wrong or an error.</summary>
    public async Task<int> EndAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_clients).WaitAsync(Until.DefaultTimeout, TimeProvider.System);
        return Answers;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        // A failed test has already thrown its reason. Later errors of the clients do not matter.
        await Task.WhenAll(_clients).ContinueWith(_ => { }, TaskScheduler.Default);
        _stop.Dispose();
    }

    private async Task AskOnAsync(HttpClient client, IReadOnlyList<(Question Question, Answer Answer)> expected, int index)
    {
        while (!_stop.IsCancellationRequested)
        {
            (var question, var answer) = expected[index++ % expected.Count];
            await using var stream = await HttpAnswerStream.AskAsync(client, question);
            Assert.Equal(answer, await stream.ReadToEndAsync());
            Interlocked.Increment(ref _answers);
        }
    }
}
