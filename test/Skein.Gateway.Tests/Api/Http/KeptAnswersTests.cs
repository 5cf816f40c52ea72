using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Keys;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>Requests with an <c>Idempotency-Key</c>.</summary>
public sealed class KeptAnswersTests : IDisposable
{
    private readonly ServiceProvider _meters = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly FakeTimeProvider _time = new();
    private readonly ScriptedSessions _sessions = new();
    private readonly KeptAnswers _kept;

    public KeptAnswersTests() => _kept = new KeptAnswers(_sessions, _time, _meters.GetRequiredService<IMeterFactory>());

    public void Dispose() => _meters.Dispose();

    [Fact]
    public async Task SameKey_WhileItRuns_JoinsFromTheFirstToken()
    {
        await using var first = Ask("k", "body");
        var session = await _sessions.StartedAsync();
        session.Push(Frames.Answer("a", "b"));
        Assert.Equal("a", await ReadTextAsync(first, tokens: 1));

        await using var second = Ask("k", "body");
        session.End();

        Assert.Equal("ab", await ReadTextAsync(second));
        Assert.Equal("b", await ReadTextAsync(first));
        Assert.False(_sessions.HasStarted);
    }

    [Fact]
    public async Task ClientGone_AnswerGoesOnAndIsKeptForAWhile()
    {
        await Ask("k", "body").DisposeAsync();
        var session = await _sessions.StartedAsync();
        session.Push(Frames.Answer("a", "b"));
        session.End();
        await session.Disposed;

        Assert.Equal("ab", await ReadTextAsync(Ask("k", "body")));
        _time.Advance(KeptAnswers.KeptAfterEnd + TimeSpan.FromSeconds(1));
        _ = Ask("k", "body");
        Assert.True(_sessions.HasStarted);
    }

    /// <summary>Past a thousand keys, a retry started a second answer.</summary>
    [Fact]
    public async Task MoreKeysThanAreKept_TheOneThatEndedFirstIsForgotten()
    {
        for (var key = 0; key <= KeptAnswers.MostAnswers; key++)
        {
            _ = Ask($"{key}", "body");
            var session = await _sessions.StartedAsync();
            session.Push(Frames.Answer("a"));
            session.End();
            await session.Disposed;
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        _ = Ask($"{KeptAnswers.MostAnswers}", "body");
        Assert.False(_sessions.HasStarted);
        _ = Ask("0", "body");
        Assert.True(_sessions.HasStarted);
    }

    /// <summary>A thousand answers of 16 MiB could take 16 GB.</summary>
    [Fact]
    public async Task AllAnswersTogether_PastTheirBound_TheOldestIsForgotten()
    {
        var kept = new KeptAnswers(_sessions, _time, _meters.GetRequiredService<IMeterFactory>(), mostBytes: 1000);
        foreach (var key in new[] { "1", "2" })
        {
            _ = Ask(key, "body", kept: kept);
            var session = await _sessions.StartedAsync();
            session.Push(Frames.Answer(new string('x', 100)));
            session.End();
            await session.Disposed;
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        _ = Ask("3", "body", kept: kept);
        await _sessions.StartedAsync();
        _ = Ask("2", "body", kept: kept);
        Assert.False(_sessions.HasStarted);
        _ = Ask("1", "body", kept: kept);
        Assert.True(_sessions.HasStarted);
    }

    [Fact]
    public async Task SameKey_AnotherBody_Is422()
    {
        _ = Ask("k", "body");
        await _sessions.StartedAsync();

        var refused = Assert.Throws<RequestRefusedException>(() => Ask("k", "other body"));

        Assert.Equal((422, KeptAnswers.Header), (refused.Status, refused.Field));
    }

    [Theory]
    [InlineData("k", "key-2", "/v1/x")]
    [InlineData("k2", "key-1", "/v1/x")]
    [InlineData("k", "key-1", "/v1/y")]
    [InlineData("", "key-1", "/v1/x")]
    public async Task OtherKeyOrClientOrPath_IsAnotherRequest(string key, string tenant, string path)
    {
        _ = Ask("k", "body", "key-1");
        await _sessions.StartedAsync();

        _ = Ask(key, "body", tenant, path);

        Assert.True(_sessions.HasStarted);
    }

    /// <summary>The first client's deadline ended the answer of all, and those of others were ignored.</summary>
    [Theory]
    [InlineData(1000, null)]
    [InlineData(null, 1000)]
    [InlineData(1000, 5000)]
    [InlineData(5000, 1000)]
    public async Task Deadlines_EachHoldsForItsOwnClient(int? ofFirst, int? ofSecond)
    {
        await using var first = Ask("k", "body", deadlineMs: ofFirst);
        var session = await _sessions.StartedAsync();
        await using var second = Ask("k", "body", deadlineMs: ofSecond);
        Assert.False(session.Request.HasDeadlineMs);
        session.Push(Frames.Token(0, "a"));
        var (hasty, patient) = ofFirst == 1000 ? (first, second) : (second, first);
        Assert.Equal("a", await ReadTextAsync(hasty, tokens: 1));

        var late = hasty.WaitToReadAsync(default).AsTask();
        _time.Advance(TimeSpan.FromSeconds(1));

        var error = await Assert.ThrowsAsync<FaultException>(() => late.Within());
        Assert.Equal(Fault.DeadlineExceeded, error.Fault);
        Assert.Contains("1000 ms", error.Message, StringComparison.Ordinal);
        session.Push(Frames.Token(1, "b"), Frames.Finish(2));
        session.End();
        Assert.Equal("ab", await ReadTextAsync(patient));
    }

    [Fact]
    public async Task Failure_ReachesEveryReader_AndMayBeTriedAgain()
    {
        await using var first = Ask("k", "body");
        var session = await _sessions.StartedAsync();
        await using var second = Ask("k", "body");
        session.Fail(Fault.StreamLost, "lost");

        await Assert.ThrowsAsync<FaultException>(() => ReadTextAsync(first));
        await Assert.ThrowsAsync<FaultException>(() => ReadTextAsync(second));
        await session.Disposed;
        // The end of the session is noted after it was disposed.
        await Deadline.AskAsync(() => { _ = Ask("k", "body"); return Task.FromResult(_sessions.HasStarted); }, started => started);
        Assert.True(_sessions.HasStarted);
    }

    [Fact]
    public async Task Post_SameKeyTwice_StartsOneSessionAndBothGetTheWholeAnswer()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a", "b"));
            session.End();
        });
        var answers = new List<string>();
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = Requests.Json("""{"model":"tiny","prompt":"x"}""") };
            request.Headers.Add("Idempotency-Key", "k");
            using var response = await gateway.Client.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            answers.Add(await response.Content.ReadAsStringAsync());
        }

        Assert.Contains("\"text\":\"ab\"", answers[0], StringComparison.Ordinal);
        Assert.Contains("\"text\":\"ab\"", answers[1], StringComparison.Ordinal);
        await gateway.Sessions.StartedAsync();
        Assert.False(gateway.Sessions.HasStarted);
    }

    /// <summary>The answer went on without a client, and cost its key neither a stream nor tokens; each client that joined paid them again.</summary>
    [Fact]
    public async Task KeyWithLimits_ClientGoneAndBack_PaysForOneAnswerUntilItsEnd()
    {
        var meter = new KeyMeter(Key, _time);
        using (var grant = new KeyGrant(Key, meter))
            _ = Ask("k", "body", grant: grant);
        var session = await _sessions.StartedAsync();
        Assert.Equal(1, meter.Read().Running);

        using var second = new KeyGrant(Key, meter);
        await using var joined = Ask("k", "body", grant: second);
        session.Push(Frames.Answer("a", "b"));
        session.End();
        Assert.Equal("ab", await ReadTextAsync(joined));

        Assert.Equal(0, await Deadline.AskAsync(() => Task.FromResult(meter.Read().Running), running => running == 0));
        // 3 of the prompt and 2 of the answer.
        Assert.Equal((2L, 5L), (meter.Read().Requests, meter.Read().Tokens));
    }

    [Fact]
    public async Task KeyWithOneStream_AnotherRequestWhileItsAnswerGoesOn_IsRefused()
    {
        var meter = new KeyMeter(Key, _time);
        using (var grant = new KeyGrant(Key, meter))
            _ = Ask("k", "body", grant: grant);
        var session = await _sessions.StartedAsync();

        using var other = new KeyGrant(Key, meter);
        var refused = Assert.Throws<FaultException>(() => Ask("k2", "body", grant: other));

        Assert.Equal(Fault.KeyLimit, refused.Fault);
        session.End();
        Assert.Equal(0, await Deadline.AskAsync(() => Task.FromResult(meter.Read().Running), running => running == 0));
        _ = Ask("k2", "body", grant: other);
        Assert.True(_sessions.HasStarted);
    }

    [Fact]
    public async Task Post_KeyWithMaxPriority_RequestsGetNoMoreUrgentClassAndTheKeyIsTheirTenant()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a"));
            session.End();
        }, keys: new ApiKeyRing([Key with { MaxPriority = 2, Hash = ApiKey.HashOf("sk-alice") }]));
        foreach ((var asked, var expected) in new[] { ("-8", 2), ("", 2), ("5", 5) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = Requests.Json("""{"model":"tiny","prompt":"x"}""") };
            request.Headers.Add("authorization", "bEARER  sk-alice");
            if (asked.Length > 0)
                request.Headers.Add(SkeinHeaders.Priority, asked);
            using var response = await gateway.Client.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            var session = await gateway.Sessions.StartedAsync();
            Assert.Equal((expected, "alice"), (session.Request.Priority, session.Request.Tenant));
        }

        Assert.Equal((0, 3L, 12L), gateway.Keys.Uses.Select(use => (use.Running, use.Requests, use.Tokens)).Single());
    }

    private static ApiKey Key { get; } = new() { Name = "alice", Hash = ApiKey.HashOf("secret"), Streams = 1 };

    private IGenerationSession Ask(string key, string body, string tenant = "key-1", string path = "/v1/x", KeptAnswers? kept = null, KeyGrant? grant = null, int? deadlineMs = null)
    {
        var request = new GenerateRequest { Tenant = tenant };
        if (deadlineMs is { } deadline)
            request.DeadlineMs = (uint)deadline;
        return (kept ?? _kept).StartOrJoin(request, prompts: null, path, key, System.Text.Encoding.UTF8.GetBytes(body), grant);
    }


    private static async Task<string> ReadTextAsync(IGenerationSession session, int tokens = int.MaxValue)
    {
        var text = "";
        for (var read = 0; read < tokens && await session.WaitToReadAsync(default).AsTask().Within();)
        {
            while (read < tokens && session.TryRead(out var frame))
            {
                text += frame.Text.ToStringUtf8();
                read += (int)frame.Count;
            }
        }
        return text;
    }
}
