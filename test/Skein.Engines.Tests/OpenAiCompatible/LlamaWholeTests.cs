using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>
/// Whole chats of a real llama.cpp server, which its stream refuses or tells less of: member by member what the server itself answers.
/// </summary>
public class LlamaWholeTests
{
    private const string Tools =
        """[{"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{"at":{"type":"string","maxLength":12}},"required":["at"]}}}]""";

    private const string Format =
        """{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"a":{"type":"string","maxLength":40}},"required":["a"]}}}""";

    private const string Off = """{"enable_thinking":false}""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_WholeChat_IsTheServersWholeAnswer()
    {
        var file = LlamaProgram.FindModel("switchable.gguf");
        Assert.SkipWhen(file is null, LlamaProgram.MissingModel);
        await using var server = new LlamaServer(file, "--jinja");
        await using var engine = await server.ConnectAsync();
        using var client = new HttpClient();
        var logprobs = new Dictionary<string, string> { ["logprobs"] = "true", ["top_logprobs"] = "3" };

        await CheckAsync("tools and logprobs", "user", new(logprobs) { ["tools"] = Tools }, request => (request.Logprobs, request.Chat.Tools) = (3, Json(Tools)));
        await CheckAsync("required and logprobs", "user", new(logprobs) { ["tools"] = Tools, ["tool_choice"] = "\"required\"" }, request =>
            (request.Logprobs, request.Chat.Tools, request.Chat.ToolChoice) = (3, Json(Tools), Json("\"required\"")));
        await CheckAsync("schema and logprobs", "user", new(logprobs) { ["response_format"] = Format }, request =>
            (request.Logprobs, request.Chat.ResponseFormat) = (3, Json(Format)));
        await CheckAsync("logprobs", "user", new() { ["logprobs"] = "true" }, request => request.Logprobs = 0);
        await CheckAsync("prefill", "assistant", [], _ => { });
        await CheckAsync("undivided, closed", "user", new() { ["reasoning_format"] = "\"none\"", ["chat_template_kwargs"] = Off }, request => request.Extra.Add(
            [new RawMember { Name = "reasoning_format", Json = Json("\"none\"") }, new RawMember { Name = "chat_template_kwargs", Json = Json(Off) }]));
        await CheckAsync("undivided", "user", new() { ["reasoning_format"] = "\"none\"" }, request =>
            request.Extra.Add(new RawMember { Name = "reasoning_format", Json = Json("\"none\"") }));

        async Task CheckAsync(string kind, string lastRole, Dictionary<string, string> members, Action<GenerateRequest> ask)
        {
            var messages = $$"""[{"role":"user","content":"Tell me of the sea"}{{(lastRole == "user" ? "" : """,{"role":"assistant","content":"Once upon"}""")}}]""";
            var body = new JsonObject { ["messages"] = JsonNode.Parse(messages), ["temperature"] = 0, ["max_tokens"] = 90 };
            foreach (var (name, json) in members)
            {
                body[name] = JsonNode.Parse(json);
            }

            using var response = await client.PostAsJsonAsync(new Uri(server.Url + "/chat/completions"), body, Cancellation);
            var expected = await response.Content.ReadFromJsonAsync<JsonElement>(Cancellation);
            var request = new GenerateRequest
            {
                Chat = new ChatPrompt { Messages = Json(messages) },
                Sampling = new Sampling { Temperature = 0 },
                MaxTokens = 90,
                Whole = true,
            };
            ask(request);
            var frames = new List<GenerateFrame>();
            await foreach (var frame in engine.GenerateAsync(request, Cancellation))
            {
                frames.Add(frame);
            }

            Assert.True(expected.TryGetProperty("choices", out var choices), $"{kind}: {expected}");
            var message = choices[0].GetProperty("message");
            Assert.Equal((kind, message.GetProperty("content").GetString() ?? ""), (kind, string.Concat(frames.Select(frame => frame.Text.ToStringUtf8()))));
            var entries = choices[0].TryGetProperty("logprobs", out var told) ? told.GetProperty("content").EnumerateArray().Select(entry => entry.GetRawText()) : [];
            Assert.Equal(entries, frames.SelectMany(frame => frame.Logprobs).Select(entry => entry.Raw.ToStringUtf8()));
            Assert.Equal(
                (kind, expected.GetProperty("usage").GetProperty("prompt_tokens").GetUInt32(), expected.GetProperty("usage").GetProperty("completion_tokens").GetUInt32()),
                (kind, frames[^1].Finish.Usage.PromptTokens, frames[^1].Finish.Usage.CompletionTokens));
            Assert.Equal((kind, true), (kind, frames[0].Start.ResumeTier == ResumeTier.Exact || frames[0].Start.RepeatsExactly));
        }
    }

    private static ByteString Json(string json) => ByteString.CopyFromUtf8(json);
}
