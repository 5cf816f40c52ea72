using System.Net;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>Requests with an <c>Idempotency-Key</c>.</summary>
public sealed class KeptAnswersTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly ScriptedSessions _sessions = new();
    private readonly KeptAnswers _kept;

    public KeptAnswersTests() => _kept = new KeptAnswers(_sessions, _time);

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

    /// <summary>A thousand answers of 16 MiB could take 16 GB.</summary>
    [Fact]
    public async Task AllAnswersTogether_PastTheirBound_TheOldestIsForgotten()
    {
        var kept = new KeptAnswers(_sessions, _time, mostBytes: 1000);
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

    private IGenerationSession Ask(string key, string body, string tenant = "key-1", string path = "/v1/x", KeptAnswers? kept = null) =>
        (kept ?? _kept).StartOrJoin(new GenerateRequest { Tenant = tenant }, prompts: null, path, key, System.Text.Encoding.UTF8.GetBytes(body));

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
