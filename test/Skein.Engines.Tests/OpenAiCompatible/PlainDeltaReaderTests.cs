using System.Text;
using System.Text.Json;
using CsCheck;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

public sealed class PlainDeltaReaderTests : IDisposable
{
    private readonly EngineHttp _http = new(new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test") }, new FakeServer(), TimeProvider.System);

    public void Dispose() => _http.Dispose();

    [Theory]
    [InlineData("""{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a\"\u00e9\n🐢"},"finish_reason":null}]}""", true)]
    [InlineData("""{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":null,"refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}""", true)]
    [InlineData("""{"choices":[{"delta":{"content":"a"},"token_ids":null,"stop_reason":null}],"error":null,"service_tier":null,"prompt_token_ids":null}""", true)]
    [InlineData("""{"choices":[{"delta":{"content":"a"},"token_ids":[1,2]}]}""", false)]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}],"citations":["x"]}""", false)]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}],"system_fingerprint":"b1"}""", false)]
    [InlineData("""{"choices":[{"message":{"content":"a"}}]}""", false)]
    [InlineData("""{"choices":[{"delta":{}}]}""", true)]
    [InlineData("""{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}""", false)]
    [InlineData("""{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[]}}]}""", false)]
    [InlineData("""{"choices":[{"delta":{"content":"a","reasoning_content":"b"}}]}""", false)]
    [InlineData("""{"choices":[{"delta":{"content":"a","tool_calls":[{"index":0}]}}]}""", false)]
    [InlineData("""{"choices":[{"delta":{"content":["a"]}}]}""", false)]
    [InlineData("""{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}""", false)]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}],"choices":[]}""", false)]
    [InlineData("""{"choices":[],"usage":{"prompt_tokens":1}}""", false)]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}""", false)]
    [InlineData("""[1]""", false)]
    [InlineData("""{}""", false)]
    public void Read_AnyDelta_IsTheSameAsReadInFull(string json, bool isPlain)
    {
        var reader = new PlainDeltaReader(_http, isChat: true);

        var read = reader.Read("message", Encoding.UTF8.GetBytes(json))!.Value;

        Assert.Equal(isPlain, read.Json is null);
        reader.SkipsFingerprint = true;
        Assert.Equal(isPlain || json.Contains("b1", StringComparison.Ordinal), reader.Read("message", Encoding.UTF8.GetBytes(json))!.Value.Json is null);
        if (isPlain)
        {
            var choice = Assert.Single(JsonElement.Parse(json).GetProperty("choices").EnumerateArray());
            var full = TextDelta.OfChat(choice, new GenerateRequest());
            Assert.Equal(full.Text, Encoding.UTF8.GetString(reader.Text[..read.TextBytes]));
            Assert.Equal(full with { Text = "" }, new TextDelta("", null, null, default, [], FinishReason.Unspecified, "") with { Logprobs = full.Logprobs });
        }
    }

    [Fact]
    public void Read_AnyText_IsThatText()
    {
        var reader = new PlainDeltaReader(_http, isChat: false);
        Gen.String[Gen.Char["a\"\\\n\u0001é日 🐢"[..8]], 0, 600].Sample(text =>
        {
            var json = JsonSerializer.SerializeToUtf8Bytes(new { choices = new[] { new { text } } });

            var read = reader.Read("message", json)!.Value;

            Assert.Null(read.Json);
            Assert.Equal(text, Encoding.UTF8.GetString(reader.Text[..read.TextBytes]));
        }, iter: 500, threads: 1);
    }

    [Theory]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}]""")]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}]} x""")]
    [InlineData("""{"choices":[{"delta":{"content":"a"}]}""")]
    [InlineData("[DONE")]
    public void Read_BrokenJson_Throws(string json) =>
        Assert.ThrowsAny<JsonException>(() => new PlainDeltaReader(_http, isChat: true).Read("message", Encoding.UTF8.GetBytes(json)));

    [Theory]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}],"error":{"message":"CUDA out of memory"}}""")]
    [InlineData("""{"object":"error","choices":[{"delta":{"content":"a"}}],"message":"CUDA out of memory"}""")]
    public void Read_ErrorBesideAText_IsTheError(string json)
    {
        var error = Assert.Throws<FaultException>(() => new PlainDeltaReader(_http, isChat: true).Read("message", Encoding.UTF8.GetBytes(json)));

        Assert.Contains("CUDA", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_PlainDelta_AllocatesNothing()
    {
        var reader = new PlainDeltaReader(_http, isChat: true);
        var json = """{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"""u8.ToArray();
        reader.Read("message", json);
        var before = GC.GetAllocatedBytesForCurrentThread();

        for (var i = 0; i < 1_000; i++)
        {
            reader.Read("message", json);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
