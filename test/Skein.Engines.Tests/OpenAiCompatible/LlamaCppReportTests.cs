using System.Text.Json;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.OpenAiCompatible.LlamaCpp;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol.V1;
using static Skein.Engines.Tests.OpenAiCompatible.MemberTests;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>What llama.cpp's calls tell beside the text, and where it looks for stop texts: seen beside the server itself.</summary>
public sealed class LlamaCppReportTests
{
    private const string Progress = """{"content":"","tokens":[],"tokens_predicted":1,"stop":false,"prompt_progress":{"total":2}}""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, new[] { """{"prompt_progress":{"total":2}}""" })]
    [InlineData(true, new string[0])]
    public async Task ReturnProgress_IsToldInStreamsOnly(bool isWhole, string[] told)
    {
        using var server = Completing(Progress, Step(1, timings: ""), End(1));

        var frames = await LlamaCppFramesOf(server, Asking("return_progress", isWhole));

        Assert.Equal(told, frames.SkipLast(1).Select(frame => frame.RawChunk.ToStringUtf8()).Where(chunk => chunk.Length > 0));
        Assert.Equal(isWhole, frames.Exists(frame => frame.EngineAlive));
    }

    [Theory]
    [InlineData(false, 2)]
    [InlineData(true, 0)]
    public async Task TimingsPerToken_AreToldWithEachTokenOfAStream(bool isWhole, int times)
    {
        using var server = Completing(Step(1, ",\"timings\":{\"predicted_n\":1}"), Step(2, ",\"timings\":{\"predicted_n\":2}"), End(2));

        var frames = await LlamaCppFramesOf(server, Asking("timings_per_token", isWhole));

        Assert.Equal(times, frames.SkipLast(1).Count(frame => frame.RawChunk.ToStringUtf8().StartsWith("{\"timings\":", StringComparison.Ordinal)));
    }

    /// <summary>Its own call obeys the member; OpenAI's, which the client asks, does not know it.</summary>
    [Fact]
    public async Task ResponseFields_AreNotPassedOn()
    {
        var asked = new List<JsonElement>();
        using var server = new FakeServer().On("/tokenize", """{"tokens":[0,0]}""").On("/completion", body =>
        {
            asked.Add(body);
            return [End(0)];
        });

        await LlamaCppFramesOf(server, Asking("response_fields", isWhole: false, "[\"content\"]"));

        Assert.Null(Assert.Single(asked).Member("response_fields"));
    }

    [Theory]
    [InlineData("n_probs", "2", null)]
    [InlineData("user", "\"a\"", 4L)]
    public void CountOf_ServersOwnMemberBesideLogprobs_Counts(string name, string json, long? count)
    {
        var request = Asking(name, isWhole: false, json);
        request.Logprobs = 4;

        Assert.Equal(count, LlamaCppProbabilities.CountOf(request));
    }

    [Theory]
    [InlineData("verbose", "true", true, true)]
    [InlineData("verbose", "true", false, false)]
    [InlineData("verbose", "false", true, false)]
    [InlineData("return_progress", "true", true, false)]
    public void TellsMoreInWhole_CompletionWithAReport_AsTheServerDoes(string name, string json, bool isWhole, bool tellsMore)
    {
        var profile = new LlamaCppProfile();
        var request = Asking(name, isWhole, json);

        Assert.Equal(tellsMore, profile.TellsMoreInWhole(request));
        Assert.Equal(json == "true" && name == "verbose", profile.IsMadeAgain(request));
        Assert.Equal(!profile.IsMadeAgain(request), profile.TakesTokens(request));
    }

    /// <summary>A stop text that begins with the white space that is dropped was not found.</summary>
    [Theory]
    [InlineData(" w", "", " w")]
    [InlineData(" ", "", " ")]
    [InlineData("x", "was", null)]
    [InlineData("as", "w", "as")]
    public void TokenAnswer_DropsWhiteSpaceAtItsBegin_StopsAreLookedForBefore(string stop, string text, string? matched)
    {
        var call = new TokenCall(new GenerateRequest { Text = "x", Stop = { stop } }, "m", [1], [], null);
        var answer = new TokenAnswer(call, default, default, trimsBegin: true);

        var shown = Enumerable.Range(0, 4).Select(i => answer.Add(new TokenStep([(uint)i], new[] { (byte)" was"[i] }, [])).Text.ToStringUtf8()).ToList();

        Assert.Equal(matched is not null, answer.IsStopped);
        var last = answer.Finish(new AnswerEnd(FinishReason.Length), stopMember: null);
        Assert.Equal(text, string.Concat(shown) + last.Text.ToStringUtf8());
    }

    [Fact]
    public void TokenAnswer_ResumedBehindDroppedWhiteSpace_GoesOn()
    {
        var resume = new Resume { NextIndex = 2, TokenIds = { 1u, 2u }, Text = ByteString.CopyFromUtf8("was") };
        var call = new TokenCall(new GenerateRequest { Text = "x", Resume = resume }, "m", [1], [1, 2], null);
        var answer = new TokenAnswer(call, default, " \n was"u8, trimsBegin: true);

        Assert.Equal(" it", answer.Add(new TokenStep([3u], " it"u8.ToArray(), [])).Text.ToStringUtf8());
    }

    /// <summary>The content of an answer that is not divided begins with the mark that the template wrote: the server looks for no stop text there.</summary>
    [Fact]
    public async Task StopText_InAMarkOfThePrompt_IsTheServersToFind()
    {
        using var server = new FakeServer().On("/v1/chat/completions", _ =>
        [
            """{"choices":[{"index":0,"delta":{"content":"<think>\nid"},"finish_reason":null}]}""",
            """{"choices":[{"index":0,"delta":{"content":"good"},"finish_reason":null}]}""",
            """{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}""",
            """{"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}""",
        ]);
        using var http = new EngineHttp(new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test") }, server, TimeProvider.System);
        var request = new GenerateRequest
        {
            Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"hi"}]""") }, Stop = { "think" },
        };

        var frames = await new TextGeneration(http, new LlamaCppProfile())
            .RunAsync(request, new ModelDescription { Name = "m" }, ResumeTier.Text, Cancellation).ToListAsync(Cancellation);

        Assert.Equal("<think>\nidgood", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
        Assert.Equal(FinishReason.Length, frames[^1].Finish.Reason);
    }

    /// <summary>Each way took another one of the two.</summary>
    [Theory]
    [InlineData(5, null)]
    [InlineData(0, 9)]
    public void TextBody_OwnNameOfMaxTokens_IsPassedOnAloneOnly(int most, int? own)
    {
        var request = Asking("n_predict", isWhole: false, "9");
        if (most > 0)
            request.MaxTokens = (uint)most;

        var body = JsonElement.Parse(TextBody.Of(new LlamaCppProfile(), request, "m").Span);

        Assert.Equal((most > 0 ? most : null, own), (body.Whole("max_tokens"), body.Whole("n_predict")));
    }

    private static GenerateRequest Asking(string name, bool isWhole, string json = "true") => new()
    {
        Text = "x", Whole = isWhole, Extra = { new RawMember { Name = name, Json = ByteString.CopyFromUtf8(json) } },
    };

    private static FakeServer Completing(params string[] events) => new FakeServer().On("/tokenize", """{"tokens":[0,0]}""").On("/completion", _ => events);

    private static string Step(int count, string timings) => $$"""{"content":"a","tokens":[1],"tokens_predicted":{{count}},"stop":false{{timings}}}""";

    private static string End(int count) => $$"""{"content":"","tokens":[],"tokens_predicted":{{count}},"stop":true,"stop_type":"limit"}""";
}
