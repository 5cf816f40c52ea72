using Skein.Gateway.Keys;

namespace Skein.Gateway.Tests.Keys;

public sealed class ApiKeyRingTests
{
    private static readonly string Hash = ApiKey.HashOf("sk-skein-one");

    [Fact]
    public void Parse_WhatToJsonWrote_IsTheSame()
    {
        var key = new ApiKey { Name = "alice", Hash = Hash, Admin = true, Models = ["m"], RequestsPerMinute = 5, TokensPerMinute = 6, TokensPerDay = 7, Streams = 8, MaxPriority = 0 };

        var read = ApiKeyRing.Parse(new ApiKeyRing([key]).ToJson());

        Assert.Equivalent(key, Assert.Single(read.Keys), strict: true);
        Assert.Equal("alice", read.Find("sk-skein-one")!.Name);
        Assert.Null(read.Find("sk-skein-two"));
    }

    [Fact]
    public void NewSecret_IsLongAndNeverTheSame()
    {
        var secret = ApiKey.NewSecret();

        Assert.StartsWith(ApiKey.SecretPrefix, secret, StringComparison.Ordinal);
        Assert.Equal(ApiKey.SecretPrefix.Length + 64, secret.Length);
        Assert.NotEqual(secret, ApiKey.NewSecret());
    }

    [Theory]
    [InlineData("""{}""", "'keys' is missing")]
    [InlineData("""{"keys":[{"name":"a b","hash":"HASH"}]}""", "name 'a b' is not allowed; allowed: 1 to 64 letters")]
    [InlineData("""{"keys":[{"name":"a","hash":"secret"}]}""", "hash of key 'a' is not allowed; allowed: 64 lower-case hex digits")]
    [InlineData("""{"keys":[{"name":"a","hash":"HASH","streams":0}]}""", "streams of key 'a' is 0; allowed: 1 to 100000")]
    [InlineData("""{"keys":[{"name":"a","hash":"HASH","maxPriority":-9}]}""", "maxPriority of key 'a' is -9; allowed: -8 to 8, or absent")]
    [InlineData("""{"keys":[{"name":"a","hash":"HASH"},{"name":"b","hash":"HASH"}]}""", "the keys 'a' and 'b' have the same secret")]
    [InlineData("""{"keys":[{"name":"a","hash":"HASH","limit":3}]}""", "is not allowed: The JSON property 'limit'")]
    [InlineData("""{"keys":[{"name":"a"}]}""", "missing required properties including: 'hash'")]
    [InlineData("""[]""", "$ is not allowed: its value has another type")]
    [InlineData("""{"keys":[{"name":5,"hash":"HASH"}]}""", "$.keys[0].name is not allowed: its value has another type")]
    public void Parse_WrongFile_NamesTheFault(string json, string expected) =>
        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => ApiKeyRing.Parse(json.Replace("HASH", Hash, StringComparison.Ordinal))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("", "it is empty")]
    [InlineData("{\n \"keys\": [", "line 2, byte 11")]
    public void Parse_NoJson_SaysWhere(string json, string expected) =>
        Assert.Equal(expected, Assert.Throws<FormatException>(() => ApiKeyRing.Parse(json)).Message);

    [Fact]
    public void Parse_SameName_IsRefused()
    {
        ApiKey one = new() { Name = "a", Hash = Hash };
        var error = Assert.Throws<ArgumentException>(() => new ApiKeyRing([one, one with { Hash = ApiKey.HashOf("other") }]));
        Assert.Equal("two keys have the name 'a'; allowed: one", error.Message);
    }
}
