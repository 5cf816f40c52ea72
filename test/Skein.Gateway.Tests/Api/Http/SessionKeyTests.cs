using System.Net;
using Google.Protobuf;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>Keys by which clients mark requests that belong together.</summary>
public sealed class SessionKeyTests
{
    [Theory]
    [InlineData("x-skein-session", "own")]
    [InlineData("x-session-affinity", "agent-1")]
    [InlineData("session-id", "agent-2")]
    [InlineData("x-claude-code-session-id", "agent-3")]
    public void Find_Header_IsTaken(string header, string value) => Assert.Equal(value, SessionKey.Find(new GenerateRequest(), name => name == header ? value : null));

    [Theory]
    [InlineData("prompt_cache_key", "\"cache\"", "cache")]
    [InlineData("metadata", """{"other": {"user_id": "x"}, "user_id": "someone"}""", "someone")]
    [InlineData("metadata", """{"user_id": 5}""", "")]
    [InlineData("metadata", "\"user_id\"", "")]
    [InlineData("metadata", "{\"user_id\"", "")]
    [InlineData("prompt_cache_key", "null", "")]
    public void Find_Member_IsTakenIfItIsAText(string member, string json, string key) => Assert.Equal(key, SessionKey.Find(With(member, json), _ => null));

    /// <summary>The first of these that is there counts; each is left out in turn.</summary>
    [Fact]
    public void Find_Several_TheFirstInOrderCounts()
    {
        string[] order = ["x-skein-session", "prompt_cache_key", "x-session-affinity", "session-id", "x-claude-code-session-id", "metadata.user_id"];
        for (var first = 0; first < order.Length; first++)
        {
            var present = order[first..];
            var request = new GenerateRequest();
            if (present.Contains("metadata.user_id"))
                request.Extra.Add(With("metadata", """{"user_id": "metadata.user_id"}""").Extra);
            if (present.Contains("prompt_cache_key"))
                request.Extra.Add(With("prompt_cache_key", "\"prompt_cache_key\"").Extra);

            Assert.Equal(order[first], SessionKey.Find(request, name => present.Contains(name) ? name : null));
        }
    }

    /// <summary>Each API reads the members in its own way.</summary>
    [Theory]
    [InlineData("/v1/chat/completions", "{MODEL, \"messages\": [{\"role\": \"user\", \"content\": \"x\"}], MEMBERS}")]
    [InlineData("/v1/completions", "{MODEL, \"prompt\": \"x\", MEMBERS}")]
    [InlineData("/v1/responses", "{MODEL, \"input\": \"x\", MEMBERS}")]
    [InlineData("/v1/messages", "{MODEL, \"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": \"x\"}], MEMBERS}")]
    [InlineData("/v1/messages/count_tokens", "{MODEL, \"messages\": [{\"role\": \"user\", \"content\": \"x\"}], MEMBERS}")]
    public async Task Post_MembersOfAgents_AreTheKey(string path, string body)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a"));
            session.End();
        });
        const string User = "\"metadata\": {\"user_id\": \"someone\"}";

        Assert.Equal("someone", await KeyOfAsync(User));
        Assert.Equal("agent", await KeyOfAsync(User, ("x-claude-code-session-id", "agent")));
        Assert.Equal("own", await KeyOfAsync(User, ("x-claude-code-session-id", "agent"), ("x-skein-session", "own")));
        Assert.Equal("cache", await KeyOfAsync($"{User}, \"prompt_cache_key\": \"cache\"", ("x-claude-code-session-id", "agent")));
        Assert.Equal("", await KeyOfAsync("\"metadata\": {\"other\": \"someone\"}"));
        Assert.Equal("", await KeyOfAsync(User.Replace("someone", new string('x', SessionKey.MaxBytes + 1), StringComparison.Ordinal)));

        async Task<string> KeyOfAsync(string members, params (string Name, string Value)[] headers)
        {
            var json = body.Replace("MODEL", "\"model\": \"m\"", StringComparison.Ordinal).Replace("MEMBERS", members, StringComparison.Ordinal);
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = Requests.Json(json) };
            foreach (var (name, value) in headers)
                request.Headers.Add(name, value);
            using var response = await gateway.Client.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            return (await gateway.Sessions.StartedAsync()).Request.SessionKey;
        }
    }

    [Fact]
    public void Find_TooLong_OwnIsRefusedAndOthersAreLeftOut()
    {
        var value = new string('x', SessionKey.MaxBytes + 1);
        Assert.Throws<RequestRefusedException>(() => SessionKey.Find(new GenerateRequest(), name => name == SessionKey.Header ? value : null));
        Assert.Equal("", SessionKey.Find(With("prompt_cache_key", $"\"{value}\""), name => name == SessionKey.Header ? null : value));
    }

    [Fact]
    public void Read_Credentials_BecomeATenantThatDoesNotShowThem()
    {
        var one = new GenerateRequest();
        SkeinHeaders.Read(one, name => name == "authorization" ? "Bearer secret" : null);
        var same = new GenerateRequest();
        SkeinHeaders.Read(same, name => name == "authorization" ? "Bearer secret" : null);
        var other = new GenerateRequest();
        SkeinHeaders.Read(other, name => name == "x-api-key" ? "secret" : null);

        Assert.Equal(one.Tenant, same.Tenant);
        Assert.NotEqual(one.Tenant, other.Tenant);
        Assert.DoesNotContain("secret", one.Tenant, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_RetryCountOfOfficialSdks_IsTaken()
    {
        var request = new GenerateRequest();
        SkeinHeaders.Read(request, name => name == SkeinHeaders.RetryCount ? "2" : null);
        Assert.Equal(2u, request.RetryCount);
    }

    private static GenerateRequest With(string member, string json) =>
        new() { Extra = { new RawMember { Name = member, Json = ByteString.CopyFromUtf8(json) } } };
}
