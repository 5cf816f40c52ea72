using System.Text.Json;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>
/// Chats with tools of a server that speaks as vLLM, with marks of reasoning and calls that no code knows. Each character is a token; the model gives the same
/// answer to every chat.
/// </summary>
public class VllmToolTests
{
    private const string Call = """{"name": "look", "arguments": {"at": "it"}}""";
    private const string Answer = "(thought)Hm, well.(spoken)I will look < at it. (call)" + Call + "(done)";
    private const char End = '\u0003';

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_CutBeforeTheCall_GoesOnByIdsUntilItBegins()
    {
        await using var engine = await Server(Answer).ConnectAsync();
        var frames = await FramesAsync(engine, Chat());
        Assert.Equal(ResumeTier.Exact, frames[0].Start.ResumeTier);
        Assert.Contains("\"name\":\"look\"", frames[^1].RawDelta.ToStringUtf8(), StringComparison.Ordinal);

        for (var cut = 12; cut < frames.Count; cut++)
        {
            var continued = new List<GenerateFrame>();
            var resumed = new GenerateRequest(Chat()) { Resume = JournalOf(frames[..cut]) };
            var refusal = await Assert.ThrowsAsync<FaultException>(() => FramesAsync(engine, resumed, continued));

            Assert.Equal(Fault.ResumeRefused, refusal.Fault);
            Assert.Contains("tool call", refusal.Message, StringComparison.Ordinal);
            var said = string.Concat(frames[..cut].Concat(continued).Select(frame => frame.Text.ToStringUtf8()));
            Assert.StartsWith("I will look < at it.", said.Length < 20 ? "I will look < at it." : said, StringComparison.Ordinal);
            Assert.DoesNotContain('(', said);
        }
    }

    [Fact]
    public async Task GenerateAsync_AnswerWithoutACall_GoesOnToItsEnd()
    {
        const string text = "(thought)Hm, let me think.(spoken)No (cal) is needed ";
        await using var engine = await Server(text).ConnectAsync();
        var frames = await FramesAsync(engine, Chat());

        for (var cut = 12; cut < frames.Count; cut++)
        {
            var rest = await FramesAsync(engine, new GenerateRequest(Chat()) { Resume = JournalOf(frames[..cut]) });

            Assert.Equal("No (cal) is needed ", string.Concat(frames[..cut].Concat(rest).Select(frame => frame.Text.ToStringUtf8())));
            Assert.Equal((FinishReason.Stop, (uint)text.Length + 1), (rest[^1].Finish.Reason, rest[^1].Finish.Usage.CompletionTokens));
        }
    }

    /// <summary>Made again, a sampled answer would be another one.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task GenerateAsync_AnswerCannotBeMadeAgain_ItsCallIsRead(bool isSampled)
    {
        await using var engine = await Server(Answer).ConnectAsync();
        var request = Chat();
        request.Sampling = isSampled ? new Sampling { Temperature = 1, Seed = 1 } : request.Sampling;
        request.LastResort = !isSampled;
        var frames = await FramesAsync(engine, request);
        Assert.Equal(isSampled ? ResumeTier.Tokens : ResumeTier.Exact, frames[0].Start.ResumeTier);

        for (var cut = 12; cut < frames.Count; cut++)
        {
            var rest = await FramesAsync(engine, new GenerateRequest(request) { Resume = JournalOf(frames[..cut]) });

            Assert.Equal("I will look < at it.", string.Concat(frames[..cut].Concat(rest).Select(frame => frame.Text.ToStringUtf8())).TrimEnd());
            Assert.Equal(FinishReason.ToolCalls, rest[^1].Finish.Reason);
            var call = Assert.Single(JsonElement.Parse(rest[^1].RawDelta.Span).GetProperty("tool_calls").EnumerateArray()).GetProperty("function");
            Assert.Equal(("look", """{"at": "it"}"""), (call.GetProperty("name").GetString(), call.GetProperty("arguments").GetString()));
        }
    }

    [Theory]
    [InlineData("(thought)Hm, let me think.(spoken)So (call){\"name\": \"look\", \"arg")]
    [InlineData("(thought)Hm, let me think.(spoken)So (call)look(done)")]
    public async Task GenerateAsync_SampledCallIsCutOrOfAnotherForm_IsRefused(string answer)
    {
        await using var engine = await Server(answer).ConnectAsync();
        var request = Chat();
        request.Sampling = new Sampling { Temperature = 1, Seed = 1 };
        var frames = await FramesAsync(engine, request);
        var resumed = new GenerateRequest(request) { Resume = JournalOf(frames[..15]) };

        var refusal = await Assert.ThrowsAsync<FaultException>(() => FramesAsync(engine, resumed));

        Assert.Equal(Fault.ResumeRefused, refusal.Fault);
    }

    [Fact]
    public async Task GenerateAsync_CallsAreToBeStreamed_ComeInPieces()
    {
        await using var engine = await Server(Answer).ConnectAsync();
        var request = Chat();
        request.StreamToolCalls = true;

        var frames = await FramesAsync(engine, request);

        Assert.True(frames[^1].RawDelta.IsEmpty);
        Assert.Equal(
            ["""{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"""],
            frames.Select(frame => frame.RawDelta.ToStringUtf8()).Where(delta => delta.Contains("tool_calls", StringComparison.Ordinal)));
    }

    /// <param name="answer">What the model says.</param>
    private static FakeServer Server(string answer) => new FakeServer { ContinuesTexts = false }
        .On("/version", """{"version":"0.32.0"}""")
        .On("/v1/models", """{"object":"list","data":[{"id":"fake","object":"model","owned_by":"vllm","root":"org/fake","max_model_len":4096}]}""")
        .On("/tokenize", body => [Json(new { tokens = body.TryGetProperty("messages", out _) ? Ids(Render(body)) : Ids(body.GetProperty("prompt").GetString()!) })])
        .On("/detokenize", body => [Json(new { prompt = TextOf(Dialogues.Ids(body, "tokens")) })])
        .On("/v1/chat/completions", body => Chat(body, answer))
        .On("/v1/completions", body => Completion(body, answer));

    private static string Render(JsonElement body)
    {
        var text = body.TryGetProperty("tools", out var tools) ? $"[tools]{tools.GetRawText()}" : "";
        foreach (var message in body.GetProperty("messages").EnumerateArray())
        {
            var reasoning = message.TryGetProperty("reasoning", out var thought) ? $"(thought){thought.GetString()}(spoken)" : "";
            text += $"[{message.GetProperty("role").GetString()}]{reasoning}{message.GetProperty("content").GetString()}";
            foreach (var call in message.TryGetProperty("tool_calls", out var calls) ? calls.EnumerateArray().ToList() : [])
            {
                text += $"(call){{\"name\": \"{call.GetProperty("function").GetProperty("name").GetString()}\", \"arguments\": {{}}}}(done)";
            }
        }

        return text + "[assistant]";
    }

    private static IEnumerable<string> Chat(JsonElement body, string answer)
    {
        var limit = body.TryGetProperty("max_tokens", out var most) ? most.GetInt32() : int.MaxValue;
        var isCut = limit <= answer.Length;
        yield return Json(new { choices = new[] { new { index = 0, delta = new { role = "assistant", content = "" } } }, prompt_token_ids = Ids(Render(body)) });
        var content = answer.IndexOf("(spoken)", StringComparison.Ordinal) + "(spoken)".Length;
        var call = answer.IndexOf(" (call)", StringComparison.Ordinal) is var at and >= 0 ? at : answer.Length;
        for (var i = 0; i < Math.Min(limit, answer.Length); i++)
        {
            object delta = i >= "(thought)".Length && i < content - "(spoken)".Length ? new { reasoning = answer[i].ToString() }
                : i >= content && i < call ? new { content = answer[i].ToString() }
                : i == call + 10 ? new { tool_calls = new[] { new { index = 0, id = "c1", type = "function", function = new { name = "look", arguments = "" } } } }
                : i == call + 20 ? new { tool_calls = new[] { new { index = 0, function = new { arguments = "{}" } } } }
                : new { };
            yield return Json(new
            {
                choices = new[] { new { index = 0, delta, finish_reason = isCut && i == limit - 1 ? "length" : null, token_ids = new[] { (uint)answer[i] } } },
            });
        }

        if (!isCut)
        {
            yield return Json(new
            {
                choices = new[] { new { index = 0, delta = new { }, finish_reason = call < answer.Length ? "tool_calls" : "stop", token_ids = new[] { (uint)End } } },
            });
        }

        yield return "[DONE]";
    }

    private static IEnumerable<string> Completion(JsonElement body, string answer)
    {
        if (body.GetProperty("prompt").ValueKind == JsonValueKind.String)
        {
            yield return Json(new { choices = new[] { new { index = 0, text = "…", token_ids = new[] { 5, 6 }, finish_reason = "length" } } });
            yield break;
        }

        var prompt = TextOf(Dialogues.Ids(body, "prompt"));
        var done = prompt[(prompt.LastIndexOf("[assistant]", StringComparison.Ordinal) + "[assistant]".Length)..];
        var limit = body.TryGetProperty("max_tokens", out var most) ? most.GetInt32() : int.MaxValue;
        var isRight = answer.StartsWith(done, StringComparison.Ordinal);
        for (var i = 0; i < limit; i++)
        {
            var token = !isRight ? '?' : done.Length + i < answer.Length ? answer[done.Length + i] : End;
            var finish = token == End ? "stop" : i == limit - 1 ? "length" : null;
            yield return Json(new { choices = new[] { new { index = 0, text = token == End ? "" : token.ToString(), finish_reason = finish, token_ids = new[] { (uint)token } } } });
            if (finish is not null)
            {
                break;
            }
        }

        yield return "[DONE]";
    }

    private static GenerateRequest Chat() => new()
    {
        Chat = new ChatPrompt
        {
            Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Look!"}]"""),
            Tools = ByteString.CopyFromUtf8("""[{"type":"function","function":{"name":"look"}}]"""),
        },
        Sampling = new Sampling { Temperature = 0 },
    };

    private static Resume JournalOf(IReadOnlyList<GenerateFrame> frames) => new()
    {
        TokenIds = { frames.SelectMany(frame => frame.TokenIds) },
        PromptTokenIds = { frames[0].Start.PromptTokenIds },
        Text = ByteString.CopyFrom([.. frames.SelectMany(frame => frame.Text)]),
        RawDeltas = ByteString.CopyFrom([.. frames.SelectMany(frame => frame.RawDelta)]),
        NextIndex = (uint)frames.Sum(frame => frame.Count),
        Fingerprint = frames[0].Start.Fingerprint,
    };

    private static async Task<List<GenerateFrame>> FramesAsync(IInferenceEngine engine, GenerateRequest request, List<GenerateFrame>? into = null)
    {
        var frames = into ?? [];
        await foreach (var frame in engine.GenerateAsync(request, Cancellation))
        {
            frames.Add(frame);
        }

        return frames;
    }

    private static uint[] Ids(string text) => [.. text.Select(character => (uint)character)];

    private static string TextOf(IEnumerable<uint> ids) => new([.. ids.Select(id => (char)id)]);

    private static string Json(object value) => JsonSerializer.Serialize(value);
}
