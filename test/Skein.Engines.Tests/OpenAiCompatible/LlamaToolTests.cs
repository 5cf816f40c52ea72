using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>
/// Chats with tools of a real llama.cpp server: the chat call begins them, ids continue text and reasoning, and a call that has begun is made again. The models
/// are random ones; a bias makes them call.
/// </summary>
public partial class LlamaToolTests(ITestOutputHelper output)
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
        var seen = await CheckOtherMarksAsync(OtherTemplate, async first => (await MarkAsync(first), "", 0));

        Assert.InRange(seen.Calls, 1, 4);
    }

    /// <summary>The template opens a reasoning. The mark that ends it is what the model writes between brackets, because the server knows no other form.</summary>
    [Fact]
    public async Task GenerateAsync_ModelWithOtherMarksOfReasoning_GoesOnExactlyUpToACall()
    {
        var template = OtherTemplate.Replace("(thought) ", "[thought]", StringComparison.Ordinal).Replace(" (spoken) ", "[spoken]", StringComparison.Ordinal)
            .Replace("{{ '[A]' }}{%- endif %}", "{{ '[A][thought]' }}{%- endif %}", StringComparison.Ordinal);

        var seen = await CheckOtherMarksAsync(template, MarksWithReasoningAsync);

        Assert.InRange(seen.CallsAfterReasoning, 1, 4);
        Assert.InRange(seen.CutsInReasoning, 3, 100);
    }

    /// <param name="marksOf">The mark of a call, that of the end of a reasoning, and the bias of brackets, of a server that cannot see either mark.</param>
    private async Task<(int Calls, int CallsAfterReasoning, int CutsInReasoning)> CheckOtherMarksAsync(
        string template, Func<LlamaServer, Task<(string Call, string Close, float Bias)>> marksOf)
    {
        var file = LlamaProgram.FindModel("plain.gguf");
        Assert.SkipWhen(file is null, LlamaProgram.MissingModel);
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(path, template, Cancellation);
            (string Call, string Close, float Bias) marks;
            await using (var first = new LlamaServer(file, "--jinja", "--chat-template-file", path))
                marks = await marksOf(first);

            output.WriteLine($"a call begins with '{marks.Call}', a reasoning ends with '{marks.Close}'");
            template = template.Replace("(call)", marks.Call, StringComparison.Ordinal);
            template = marks.Close.Length > 0 ? template.Replace("[spoken]", marks.Close, StringComparison.Ordinal) : template;
            await File.WriteAllTextAsync(path, template, Cancellation);
            await using var server = new LlamaServer(file, "--jinja", "--chat-template-file", path);
            return marks.Bias > 0 ? await CheckAsync(server, await IdsOfAsync(server, "[", "]"), marks.Bias, marks.Bias) : await CheckAsync(server, []);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>A text of two tokens that a random model writes by itself. The mark of a call is not in a prompt: with this one it calls.</summary>
    private static async Task<string> MarkAsync(LlamaServer server)
    {
        await using var engine = await server.ConnectAsync();
        var pieces = (await FramesAsync(engine, Chat("Tell 0"))).Select(PieceOf).ToList();
        return MarkIn(pieces, from: 4) ?? throw new InvalidOperationException($"no two tokens of '{string.Concat(pieces)}' can be a mark");
    }

    private static async Task<(string Call, string Close, float Bias)> MarksWithReasoningAsync(LlamaServer server)
    {
        await using var engine = await server.ConnectAsync();
        var brackets = await IdsOfAsync(server, "[", "]");
        for (var bias = 6f; bias < 12; bias++)
        {
            var request = Chat("Tell 0");
            foreach (var id in brackets)
            {
                request.Sampling.LogitBias[id] = bias;
            }

            var pieces = (await FramesAsync(engine, request)).Select(PieceOf).ToList();
            var text = string.Concat(pieces);
            if (BracketedText().Matches(text).FirstOrDefault(match => match.Index > 20 && text.IndexOf(match.Value, StringComparison.Ordinal) == match.Index) is not { } close)
                continue;
            var spoken = Enumerable.Range(0, pieces.Count).First(at => string.Concat(pieces.Take(at)).Length >= close.Index + close.Length);
            if (MarkIn(pieces, spoken + 3) is { } call)
                return (call, close.Value, bias);
        }

        throw new InvalidOperationException("no bias makes the model write a text between brackets, and a mark behind it");
    }

    /// <summary>Two tokens of letters, which occur there for the first time; null: there are none.</summary>
    private static string? MarkIn(List<string> pieces, int from)
    {
        for (var i = from; i < pieces.Count - 2; i++)
        {
            var mark = pieces[i] + pieces[i + 1];
            var isAtFirstHere = string.Concat(pieces).IndexOf(mark, StringComparison.Ordinal) == string.Concat(pieces.Take(i)).Length;
            if (isAtFirstHere && mark.Length >= 3 && pieces[i + 1].Length > 0 && pieces[i].Length > 0 && mark.All(char.IsAsciiLetterOrDigit))
                return mark;
        }

        return null;
    }

    [GeneratedRegex(@"\[[A-Za-z ,.]{1,40}\]", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex BracketedText();

    private static string PieceOf(GenerateFrame frame) => frame.RawDelta.Length > 0 && DeliveredReasoning.TextIn(JsonElement.Parse(frame.RawDelta.Span)) is { } part
        ? part.Text
        : frame.Text.ToStringUtf8();

    /// <returns>Answers with calls, those of them that reason first, and cuts in the middle of a reasoning.</returns>
    private async Task<(int Calls, int CallsAfterReasoning, int CutsInReasoning)> CheckAsync(LlamaServer server, uint[] biased, params float[] biases)
    {
        await using var engine = await server.ConnectAsync();
        await using var chatCall = await server.ConnectAsync(options => options with { UsesChatCall = true });
        var (calls, callsAfterReasoning, cutsInReasoning, continued, again, goneOn) = (0, 0, 0, 0, 0, 0);
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
            callsAfterReasoning += said.Calls.Length > 0 && said.Reasoning.Length > 0 ? 1 : 0;
            for (var cut = 2 + i; cut < frames.Count; cut += 4)
            {
                var resumed = new GenerateRequest(request) { Resume = JournalOf(frames[..cut]) };
                var begun = BeforeCall(frames[..cut]);
                cutsInReasoning += begun.Reasoning.Length > 0 && begun.Reasoning.Length < said.Reasoning.TrimEnd().Length ? 1 : 0;
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

        output.WriteLine($"{calls} of 4 answers have calls; {continued} cuts continued, {again} made again, {goneOn} of them after text that went on; {cutsInReasoning} in a reasoning");
        var isCalling = biases is [> 0, ..];
        Assert.True(isCalling ? again > 0 : continued > 0);
        return (calls, callsAfterReasoning, cutsInReasoning);
    }

    private static GenerateRequest Chat(string question) => new()
    {
        Chat = new ChatPrompt
        {
            Messages = ByteString.CopyFromUtf8($$"""[{"role":"user","content":"{{question}}"}]"""),
            Tools = ByteString.CopyFromUtf8(Tools),
        },
        MaxTokens = 80,
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
