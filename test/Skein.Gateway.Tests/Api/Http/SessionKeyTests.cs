using Google.Protobuf;
using Skein.Gateway.Api.Http;
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

    [Fact]
    public void Find_Several_OwnHeaderThenCacheKeyThenAgentsHeaders()
    {
        var request = With("prompt_cache_key", "\"cache\"");
        Assert.Equal("own", SessionKey.Find(request, name => name == SessionKey.Header ? "own" : "agent"));
        Assert.Equal("cache", SessionKey.Find(request, name => name == SessionKey.Header ? null : "agent"));
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
