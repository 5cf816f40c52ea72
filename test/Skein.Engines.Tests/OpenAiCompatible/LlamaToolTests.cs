using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>
/// Chats with tools of a real llama.cpp server: the chat call begins them, ids continue text and reasoning, and a call that has begun is made again. The models
/// are random ones; a bias makes them call.
/// </summary>
public class LlamaToolTests(ITestOutputHelper output)
{
    private const string Tools =
        """[{"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{"at":{"type":"string","maxLength":12}},"required":["at"]}}}]""";

    /// <summary>Another model's marks, none of them one token.</summary>
    private const string OtherTemplate =
        """
        {%- if tools %}{{ '[SYS]' }}{% for t in tools %}{{ t | tojson }}{% endfor %}{{ '[/SYS]' }}{% endif %}
        {%- for m in messages %}{%- if m.role == 'assistant' %}{{ '[A]' }}
        {%- if m.reasoning_content %}{{ '(thought) ' + m.reasoning_content + ' (spoken) ' }}{% endif %}{{ m.content or '' }}
        {%- for c in m.tool_calls or [] %}{{ '(call)' }}{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}{{ '(done)' }}{% endfor %}{{ '<|im_end|>' }}
        {%- else %}{{ '[U]' + (m.content or '') + '[/U]' }}{%- endif %}{%- endfor %}
        {%- if add_generation_prompt %}{{ '[A]' }}{%- endif %}
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("plain.gguf", 0, 0)]
    [InlineData("plain.gguf", 6, 0)]
    [InlineData("switchable.gguf", 0, 6)]
    [InlineData("switchable.gguf", 6, 6)]
    [InlineData("thinking.gguf", 0, 7)]
    [InlineData("thinking.gguf", 0, 12)]
    public async Task GenerateAsync_ToolsCutAtEveryFrame_GoOnExactlyUpToACall(string model, float callBias, float closeBias)
    {
        var file = LlamaProgram.FindModel(model);
        Assert.SkipWhen(file is null, LlamaProgram.MissingModel);
        await using var server = new LlamaServer(file);
        await CheckAsync(server, await IdsOfAsync(server, "<tool_call>", "</think>"), callBias, closeBias);
    }

    [Fact]
    public async Task GenerateAsync_ModelWithOtherMarks_GoesOnExactlyUpToACall()
    {
        var file = LlamaProgram.FindModel("plain.gguf");
        Assert.SkipWhen(file is null, LlamaProgram.MissingModel);
        var template = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(template, OtherTemplate, Cancellation);
            string mark;
            await using (var first = new LlamaServer(file, "--jinja", "--chat-template-file", template))
                mark = await MarkAsync(first);

            output.WriteLine($"a call begins with '{mark}'");
            await File.WriteAllTextAsync(template, OtherTemplate.Replace("(call)", mark, StringComparison.Ordinal), Cancellation);
            await using var server = new LlamaServer(file, "--jinja", "--chat-template-file", template);
            Assert.InRange(await CheckAsync(server, []), 1, 4);
        }
        finally
        {
            File.Delete(template);
        }
    }

    /// <summary>A text of two or three tokens that a random model writes by itself. The mark of a call is not in a prompt: with this one it calls.</summary>
    private static async Task<string> MarkAsync(LlamaServer server)
    {
        await using var engine = await server.ConnectAsync();
        var pieces = (await FramesAsync(engine, Chat("Tell 0"))).Select(frame => frame.Text.ToStringUtf8()).ToList();
        for (var i = 4; i < pieces.Count - 2; i++)
        {
            var mark = pieces[i] + pieces[i + 1];
            var isAtFirstHere = string.Concat(pieces).IndexOf(mark, StringComparison.Ordinal) == string.Concat(pieces.Take(i)).Length;
            if (isAtFirstHere && mark.Length >= 3 && pieces[i + 1].Length > 0 && pieces[i].Length > 0 && mark.All(char.IsAsciiLetterOrDigit))
                return mark;
        }

        throw new InvalidOperationException($"no two tokens of '{string.Concat(pieces)}' can be a mark");
    }

    /// <returns>Answers with calls.</returns>
    private async Task<int> CheckAsync(LlamaServer server, uint[] biased, params float[] biases)
    {
        await using var engine = await server.ConnectAsync();
        await using var chatCall = await server.ConnectAsync(options => options with { UsesChatCall = true });
        var (calls, continued, again, goneOn) = (0, 0, 0, 0);
        for (var i = 0; i < 4; i++)
        {
            var request = Chat($"Tell {i}");
            foreach (var (id, bias) in biased.Zip(biases))
            {
                request.Sampling.LogitBias[id] = bias;
            }

            var frames = await FramesAsync(engine, request);
            Assert.Equal((ResumeTier.Exact, TokenUnit.Token), (frames[0].Start.ResumeTier, frames[0].Start.Unit));
            var said = SaidOf(frames);
            Assert.Equal(SaidOf(await FramesAsync(chatCall, request)), said);
            calls += said.Calls.Length > 0 ? 1 : 0;
            for (var cut = 2 + i; cut < frames.Count; cut += 3)
            {
                var resumed = new GenerateRequest(request) { Resume = JournalOf(frames[..cut]) };
                var rest = new List<GenerateFrame>();
                if (await Record.ExceptionAsync(() => ReadAsync(engine, resumed, rest)) is FaultException refusal)
                {
                    Assert.Equal(Fault.ResumeRefused, refusal.Fault);
                    // A call that is cut by max_tokens may be too short for the server to show it.
                    Assert.True(said.Calls.Length > 0 || said.Reason == FinishReason.Length, $"{refusal.Message}, at {cut}, although the answer has no call");
                    // All that is said before the call had come; only the call is made again.
                    Assert.Equal((said.Reasoning.TrimEnd(), said.Content.TrimEnd()), BeforeCall([.. frames[..cut], .. rest]));
                    again++;
                    goneOn += rest.Exists(frame => frame.Count > 0) ? 1 : 0;
                    continue;
                }

                Assert.Equal(said, SaidOf([.. frames[..cut], .. rest]));
                continued++;
            }
        }

        output.WriteLine($"{calls} of 4 answers have calls; {continued} cuts continued, {again} made again, {goneOn} of them after text that went on");
        var isCalling = biases is [> 0, ..];
        Assert.True(isCalling ? again > 0 : continued > 0);
        return calls;
    }

    private static GenerateRequest Chat(string question) => new()
    {
        Chat = new ChatPrompt
        {
            Messages = ByteString.CopyFromUtf8($$"""[{"role":"user","content":"{{question}}"}]"""),
            Tools = ByteString.CopyFromUtf8(Tools),
        },
        MaxTokens = 40,
        Sampling = new Sampling { Temperature = 0 },
    };

    private static Resume JournalOf(IReadOnlyList<GenerateFrame> frames) => new()
    {
        TokenIds = { frames.SelectMany(frame => frame.TokenIds) },
        Text = ByteString.CopyFrom([.. frames.SelectMany(frame => frame.Text)]),
        RawDeltas = ByteString.CopyFrom([.. frames.SelectMany(frame => frame.RawDelta)]),
        NextIndex = (uint)frames.Sum(frame => frame.Count),
        Fingerprint = frames[0].Start.Fingerprint,
    };

    private static async Task<List<GenerateFrame>> FramesAsync(IInferenceEngine engine, GenerateRequest request)
    {
        var frames = new List<GenerateFrame>();
        await ReadAsync(engine, request, frames);
        return frames;
    }

    private static async Task ReadAsync(IInferenceEngine engine, GenerateRequest request, List<GenerateFrame> frames)
    {
        await foreach (var frame in engine.GenerateAsync(request, Cancellation))
        {
            frames.Add(frame);
        }
    }

    /// <summary>What is said, without the white space before a call, which may be held back as a part of its mark.</summary>
    private static (string Reasoning, string Content) BeforeCall(IReadOnlyList<GenerateFrame> frames)
    {
        var said = SaidOf([.. frames, new GenerateFrame { Finish = new Finish { Usage = new Usage() } }]);
        return (said.Reasoning.TrimEnd(), said.Content.TrimEnd());
    }

    private static (string Reasoning, string Content, string Calls, FinishReason Reason, uint Tokens) SaidOf(IReadOnlyList<GenerateFrame> frames)
    {
        var (reasoning, calls) = (new StringBuilder(), new StringBuilder());
        foreach (var delta in frames.Where(frame => frame.RawDelta.Length > 0).Select(frame => JsonElement.Parse(frame.RawDelta.Span)))
        {
            if (DeliveredReasoning.TextIn(delta) is { } part)
            {
                reasoning.Append(part.Text);
            }
            else
            {
                calls.AppendJoin(';', delta.GetProperty("tool_calls").EnumerateArray().Select(call => call.GetProperty("function").GetRawText()));
            }
        }

        var finish = frames[^1].Finish;
        return (reasoning.ToString(), string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())), calls.ToString(), finish.Reason, finish.Usage.CompletionTokens);
    }

    private static async Task<uint[]> IdsOfAsync(LlamaServer server, params string[] texts)
    {
        await using var connected = await server.ConnectAsync();
        using var http = new HttpClient { BaseAddress = new Uri(server.Url, "/") };
        var ids = new List<uint>();
        foreach (var text in texts)
        {
            var body = JsonSerializer.Serialize(new { content = text, add_special = false, parse_special = true });
            using var answer = await http.PostAsync("tokenize", new StringContent(body, Encoding.UTF8, "application/json"), Cancellation);
            var tokens = JsonElement.Parse(await answer.Content.ReadAsStringAsync(Cancellation)).GetProperty("tokens");
            ids.Add(tokens[tokens.GetArrayLength() - 1].GetUInt32());
        }

        return [.. ids];
    }
}
