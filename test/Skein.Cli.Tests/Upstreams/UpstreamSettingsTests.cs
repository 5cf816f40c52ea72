using System.Collections;
using System.CommandLine;
using Skein.Cli.Settings;
using Skein.Cli.Upstreams;
using Skein.Engines.OpenAiCompatible;
using Skein.Gateway.Upstreams;

namespace Skein.Cli.Tests.Upstreams;

public sealed class UpstreamSettingsTests : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"skein-{Guid.NewGuid():N}.json");
    private readonly string _key = Path.Combine(Path.GetTempPath(), $"skein-{Guid.NewGuid():N}.key");

    public void Dispose()
    {
        File.Delete(_file);
        File.Delete(_key);
    }

    [Fact]
    public void Read_ListInTheFile_EachHasItsOwnOptions()
    {
        var upstreams = Read(
            """
            // Comments are allowed, as in the rest of the file.
            {"upstreams": [
              {"url": "http://10.0.0.1:8000/v1", "name": "fast", "model": "m", "aliases": ["gpt-4o"], "slots": 16, "weight": 2.5},
              {"url": "http://10.0.0.2:8000"},
            ]}
            """,
            "--upstream http://10.0.0.3:8000 --upstream-slots 4");

        Assert.Equal(["10.0.0.3:8000", "fast", "10.0.0.2:8000"], upstreams.Select(upstream => upstream.Name));
        Assert.Equal([null, "fast", null], upstreams.Select(upstream => upstream.Label));
        Assert.Equal([4, 16, 4], upstreams.Select(upstream => upstream.Slots));
        Assert.Equal([1, 2.5, 1], upstreams.Select(upstream => upstream.Weight));
        Assert.Equal(["m", "gpt-4o"], upstreams[1].Models);
    }

    [Fact]
    public void ToOptions_EveryMember_IsTaken()
    {
        File.WriteAllText(_key, "secret\n");

        var options = Options($$"""
            {"url": "https://host:1/v1", "model": "m", "aliases": ["a", "b"], "keyFile": "{{_key}}", "headers": {"X-Team": "blue"}, "slots": 9,
             "fingerprint": "f", "kind": "vllm"}
            """);

        Assert.Equal(new Uri("https://host:1/v1"), options.BaseUrl);
        Assert.Equal(("m", "secret", 9, "f", "vllm"), (options.Model, options.ApiKey, options.Slots, options.Fingerprint, options.Kind));
        Assert.Equal(["a", "b"], options.Aliases);
        Assert.Equal("blue", options.Headers["x-team"]);
        options.Validate();
    }

    [Theory]
    [InlineData("""{"upstreams": {}}""", "'upstreams' in {file} is not a list; allowed: a list of objects")]
    [InlineData("""{"upstreams": ["http://a:1"]}""", "'upstreams[0]' in {file} is \"http://a:1\"; allowed: an object")]
    [InlineData("""{"upstreams": [{"url": "http://a:1", "slot": 1}]}""", "'upstreams[0].slot' in {file} is not a setting; allowed: url, name, ")]
    [InlineData("""{"upstreams": [{"url": "http://a:1"}, {"url": "http://b:1", "slots": 0}]}""", "'upstreams[1].slots' in {file} is 0; allowed: a whole number from 1 to 10000")]
    [InlineData("""{"upstreams": [{"name": "a"}]}""", "'upstreams[0].url' in {file} is missing; allowed: an http:// or https:// address")]
    [InlineData("""{"upstreams": [{"url": "ftp://a"}]}""", "'upstreams[0].url' in {file} is \"ftp://a\"; allowed: an http:// or https:// address")]
    [InlineData("""{"upstreams": [{"url": "http://a:1", "weight": "2"}]}""", "'upstreams[0].weight' in {file} is \"2\"; allowed: a number from 0.001 to 1000")]
    [InlineData("""{"upstreams": [{"url": "http://a:1", "aliases": [""]}]}""", "'upstreams[0].aliases' in {file} is [\"\"]; allowed: a list of up to 32 names")]
    [InlineData("""{"upstreams": [{"url": "http://a:1", "headers": {"Host": "secret"}}]}""", "'upstreams[0].headers' in {file} is not allowed; allowed: an object of texts")]
    [InlineData("""{"upstreams": [{"url": "http://a:1", "kind": "magic"}]}""", "'upstreams[0].kind' in {file} is \"magic\"; allowed: llama.cpp, ollama, sglang, vllm, openai")]
    [InlineData("""{"upstreams": [{"url": "http://a:1", "keyFile": "/nobody/here"}]}""", "'upstreams[0].keyFile' in {file} is '/nobody/here', which cannot be read")]
    [InlineData("""{"upstreams": [{"url": "http://a:1"}, {"url": "http://a:1/v1"}]}""", "'upstreams[1].url' in {file} is http://a:1/v1, the server of upstream 'a:1'; allowed: each server once")]
    [InlineData("""{"upstreams": [{"url": "http://a:1", "name": "x"}, {"url": "http://A:1/", "name": "y"}]}""", "'upstreams[1].url' in {file} is http://a:1/, the server of upstream 'x'")]
    [InlineData("""{"upstreams": [{"url": "http://localhost:1"}, {"url": "http://127.0.0.1:1"}]}""", "'upstreams[1].url' in {file} is http://127.0.0.1:1/, the server of upstream 'localhost:1'")]
    [InlineData("""{"upstreams": [{"url": "http://a:1", "name": "x"}, {"url": "http://b:1", "name": "x"}]}""", "'upstreams[1].name' in {file} is 'x', as of another upstream")]
    public void Read_WrongList_NamesTheMemberItsValueAndWhatIsAllowed(string file, string message)
    {
        var error = Assert.Throws<UsageException>(() => Read(file));

        Assert.StartsWith(message.Replace("{file}", _file, StringComparison.Ordinal), error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_SameServerInFlags_IsRefused() =>
        Assert.StartsWith(
            "--upstream http://127.0.0.1:1/v1 is the server of http://localhost:1/",
            Assert.Throws<UsageException>(() => Read("{}", "--upstream http://localhost:1 --upstream http://127.0.0.1:1/v1")).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"url": "http://a:1"}""", """{"url": "http://a:1", "name": null}""", true)]
    [InlineData("""{"url": "http://a:1"}""", """{"url": "http://a:1", "weight": 2}""", false)]
    [InlineData("""{"url": "http://a:1", "aliases": ["x"]}""", """{"url": "http://a:1", "aliases": ["y"]}""", false)]
    [InlineData("""{"url": "http://a:1", "headers": {"a": "1", "b": "2"}}""", """{"url": "http://a:1", "headers": {"b": "2", "a": "1"}}""", true)]
    [InlineData("""{"url": "http://a:1", "headers": {"a": "1"}}""", """{"url": "http://a:1", "headers": {"a": "2"}}""", false)]
    public void Digest_OfTwoEntries_IsEqualIfTheirOptionsAre(string first, string second, bool equal) =>
        Assert.Equal(equal, DigestOf(first) == DigestOf(second));

    [Fact]
    public void Read_CaThatIsNoCertificate_IsRefused()
    {
        File.WriteAllText(_key, "nothing");

        var error = Assert.Throws<UsageException>(() => Read($$"""{"upstreams": [{"url": "https://a:1", "ca": "{{_key}}"}]}"""));

        Assert.Contains("'upstreams[0].ca'", error.Message, StringComparison.Ordinal);
        Assert.Contains("contains no certificate", error.Message, StringComparison.Ordinal);
    }

    private OpenAiEngineOptions Options(string entry)
    {
        using var list = System.Text.Json.JsonDocument.Parse($"[{entry}]");
        return UpstreamEntry.Read(list.RootElement, _file).Single().ToOptions(new OpenAiEngineOptions { BaseUrl = new Uri("http://common") });
    }

    private string DigestOf(string entry)
    {
        File.WriteAllText(_file, $$"""{"upstreams": [{{entry}}]}""");
        return UpstreamSettings.ReadConfigured(Sources("")).Single().Digest;
    }

    private IReadOnlyList<UpstreamOptions> Read(string file, string flags = "")
    {
        File.WriteAllText(_file, file);
        return UpstreamSettings.Read(Sources(flags));
    }

    private SettingSources Sources(string flags)
    {
        var command = new Command("gateway");
        foreach (var setting in UpstreamSettings.All)
            command.Options.Add(setting.Option);
        return new SettingSources(command.Parse(flags), UpstreamSettings.All, new Hashtable(), _file);
    }
}
