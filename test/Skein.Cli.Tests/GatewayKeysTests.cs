using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Cli.Commands;
using Skein.Cli.Configuration;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Tests.Settings;
using Skein.Gateway.Keys;

namespace Skein.Cli.Tests;

public sealed class GatewayKeysTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();

    private string Clients => Path.Combine(_folder.FullName, "keys.json");

    private string Admins => Path.Combine(_folder.FullName, "admin.json");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Open_Nothing_IsNoKeys() => Assert.Null(Open(""));

    /// <summary>Keys were in files only.</summary>
    [Fact]
    public void Open_HashesInTheEnvironment_AreKeysOfClientsWithTheirLimits()
    {
        var keys = Open("", Json(Key("alice") with { RequestsPerMinute = 7, Models = ["m"] }, Key("ops") with { Admin = true }))!;

        Assert.True(keys.AreForClients);
        Assert.False(keys.Ring.IsOpenToClients);
        Assert.Equal((7, "m"), (keys.Ring.Find("sk-alice")!.RequestsPerMinute, keys.Ring.Find("sk-alice")!.Models.Single()));
        Assert.True(keys.Ring.Find("sk-ops")!.Admin);
        Assert.Null(keys.Ring.Find("sk-bob"));
    }

    [Fact]
    public void Open_AllSources_AreOneRing()
    {
        Write(Clients, Key("alice"));
        Write(Admins, Key("ops"), Key("prometheus") with { Metrics = MetricsAccess.Only });

        var keys = Open($"--api-key-file {Clients} --admin-key-file {Admins}", Json(Key("bob")))!;

        Assert.Equal(
            [("alice", false), ("bob", false), ("ops", true), ("prometheus", false)],
            keys.Ring.Keys.Select(key => (key.Name, key.Admin)));
        Assert.False(keys.Ring.IsOpenToClients);
    }

    [Fact]
    public void Open_AdministratorsOnly_LeavesTheApisOpen()
    {
        Write(Admins, Key("ops"));

        var keys = Open($"--admin-key-file {Admins}")!;

        Assert.True(keys.Ring.IsOpenToClients);
        Assert.False(keys.AreForClients);
    }

    /// <summary>Whoever may write the clients' file could make an administrator.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Open_AdministratorOutsideOfTheirFile_IsRefused(bool inEnvironment)
    {
        var eve = Key("eve") with { Admin = true };
        Write(Admins, Key("ops"));
        Write(Clients, inEnvironment ? Key("alice") : eve);

        var refusal = Assert.Throws<UsageException>(
            () => Open($"--admin-key-file {Admins} --api-key-file {Clients}", inEnvironment ? Json(eve) : null));

        Assert.StartsWith("key 'eve' has admin rights and is not of --admin-key-file", refusal.Message);
    }

    [Fact]
    public void Open_OneNameInTwoSources_IsRefused()
    {
        Write(Clients, Key("alice"));

        var refusal = Assert.Throws<UsageException>(() => Open($"--api-key-file {Clients}", Json(Key("alice"))));

        Assert.StartsWith("--api-key-file, SKEIN_API_KEY_HASHES: two keys have the name 'alice'", refusal.Message);
    }

    /// <summary>A key itself, instead of its hash, must not be repeated in a message.</summary>
    [Theory]
    [InlineData("sk-skein-0123456789")]
    [InlineData("""{"keys": [{"name": "a", "hash": "sk-skein-0123456789"}]}""")]
    [InlineData("""{"keys": "sk-skein-0123456789"}""")]
    [InlineData("""{"sk-skein-0123456789": []}""")]
    public void Open_EnvironmentWithAKey_IsRefusedWithoutIt(string value)
    {
        var refusal = Assert.Throws<UsageException>(() => Open("", value));

        Assert.StartsWith("SKEIN_API_KEY_HASHES", refusal.Message);
        Assert.DoesNotContain("0123456789", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_HashesInTheEnvironment_AreNotShown()
    {
        var secret = Json(Key("alice"));
        var sources = TestSources.Of(GatewayCommand.Settings, "", (SecretVariables.ApiKeyHashes, secret));

        var rows = SettingRow.Of(sources, GatewayCommand.Settings, isEffective: true).ToList();

        Assert.DoesNotContain(rows, row => row.Origin.Contains("HASHES", StringComparison.Ordinal) || row.Value?.Contains("alice", StringComparison.Ordinal) == true);
    }

    [Fact]
    public void Follow_AdminFileChanges_AllKeysAreInUse()
    {
        Write(Clients, Key("alice"));
        Write(Admins, Key("ops"));
        var keys = Open($"--api-key-file {Clients} --admin-key-file {Admins}", Json(Key("bob")))!;
        var (used, time) = (new UsedKeys(), new FakeTimeProvider());
        using var following = keys.Follow(used, time, new FileReports(NullLogger.Instance));
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Null(used.Last);

        Write(Admins, Key("ops"), Key("night"));
        File.SetLastWriteTimeUtc(Admins, DateTime.UnixEpoch.AddYears(60));
        time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(["alice", "bob", "ops", "night"], used.Last!.Keys.Select(key => key.Name));
        Assert.True(used.Last.Find("sk-night")!.Admin);
    }

    private static ApiKey Key(string name) => new() { Name = name, Hash = ApiKey.HashOf("sk-" + name) };

    private static string Json(params ApiKey[] keys) => new ApiKeyRing(keys).ToJson();

    private static void Write(string path, params ApiKey[] keys) => File.WriteAllText(path, Json(keys));

    private static GatewayKeys? Open(string flags, string? environment = null) => GatewayKeys.Open(
        environment is null ? TestSources.Of(GatewayKeys.All, flags) : TestSources.Of(GatewayKeys.All, flags, (SecretVariables.ApiKeyHashes, environment)));

    private sealed class UsedKeys : IApiKeys
    {
        public ApiKeyRing? Last { get; private set; }

        public void Use(ApiKeyRing ring) => Last = ring;
    }
}
