namespace Skein.Upstreams.Tests.Gateways;

/// <summary>Assertions that show the whole answer when they fail.</summary>
internal static class Expect
{
    private static readonly TimeSpan BusyMachine = TimeSpan.FromSeconds(5);

    /// <summary>The answer has this text and one finish reason, and ends properly.</summary>
    public static void Answer(Reply reply, string text, string finish = "stop")
    {
        That(reply, reply.Status == 200, "the status is 200");
        That(reply, reply.Text == text, $"the text is '{text}', not '{reply.Text}'");
        That(reply, reply.FinishReasons is [var reason] && reason == finish, $"the finish reason is '{finish}', once");
        That(reply, reply.Error is null, "there is no error");
        That(reply, reply.IsComplete && (!reply.IsStream || reply.IsDone), "the answer ends properly");
    }

    /// <summary>An error told honestly: a status, or one error event without a proper end.</summary>
    public static void Error(Reply reply)
    {
        That(reply, reply.Error is not null, "there is an error");
        That(reply, reply.Status != 200 || (!reply.IsDone && !reply.IsComplete), "the error is the end of the stream, and the response fails");
        That(reply, reply.FinishReasons.Count == 0, "there is no finish reason");
    }

    /// <summary>A refusal.</summary>
    public static void Refusal(Reply reply, int status, params string[] words)
    {
        That(reply, reply.Status == status, $"the status is {status}");
        foreach (var word in words)
            That(reply, reply.ErrorMessage.Contains(word, StringComparison.OrdinalIgnoreCase), $"the error says '{word}'");
        NoAddress(reply);
    }

    /// <summary>The client does not see where the servers are.</summary>
    public static void NoAddress(Reply reply) =>
        That(reply, !reply.Body.Contains("127.0.0.1", StringComparison.Ordinal)
            && !reply.Body.Contains("http://", StringComparison.Ordinal), "no address is shown");

    /// <summary>What is excluded are the waits of 30 s and more that faults led to. A busy machine may add some seconds of its own.</summary>
    public static void Within(Reply reply, double seconds) =>
        That(reply, reply.Duration < TimeSpan.FromSeconds(seconds) + BusyMachine, $"it took less than {seconds} s, and {BusyMachine.TotalSeconds} s for a busy machine");

    public static void That(Reply reply, bool condition, string expectation)
    {
        if (!condition)
            Assert.Fail($"Expected that {expectation}. The answer:\n{(reply.ToString() is { Length: > 4000 } all ? all[..4000] + "…" : reply)}");
    }
}
