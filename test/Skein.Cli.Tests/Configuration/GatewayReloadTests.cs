using System.Collections;
using System.CommandLine;
using System.Net;
using System.Net.Http.Json;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Skein.Cli.Commands;
using Skein.Cli.Configuration;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Tests.Settings;
using Skein.Gateway;
using Skein.Gateway.Keys;
using Skein.Routing.Fleet;

namespace Skein.Cli.Tests.Configuration;

/// <summary>The configuration file of a gateway that runs.</summary>
public sealed class GatewayReloadTests : ReloadedGateway
{
    [Fact]
    public async Task Check_UpstreamsAliasesKeysAndLimitsChange_RunningStreamIsWhole()
    {
        await using var first = await CountingServer.StartAsync("counter", holds: true);
        await using var second = await CountingServer.StartAsync("counter");
        await StartAsync($$"""{"upstreams": [{"url": "{{first.Url}}", "name": "first"}], "alias": "old=counter", "policy": "random"}""");
        await ServesAsync("old");
        var running = AskAsync("old", "hold");
        await first.Holding;
        var secret = ApiKey.NewSecret();
        var keys = Path.Combine(_folder.FullName, "keys.json");
        await System.IO.File.WriteAllTextAsync(keys, new ApiKeyRing([new ApiKey { Name = "a", Hash = ApiKey.HashOf(secret) }]).ToJson(), Stop);

        await ChangeAsync(
            $$"""
            {"upstreams": [{"url": "{{second.Url}}", "name": "second", "weight": 3}], "alias": "new=counter", "policy": "round-robin", "queueLength": 7,
             "apiKeyFile": "{{keys}}"}
            """);

        Assert.Null(Problem);
        Assert.Equal(["second"], _gateway.Upstreams.Names);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync("new", "go", secret: null)).Status);
        await ServesAsync("new", secret);
        Assert.Equal((HttpStatusCode.OK, CountingServer.Text), await SendAsync("new", "go", secret));
        Assert.Equal(["counter", "new"], await ModelsAsync(secret));
        first.Release();
        Assert.Equal((HttpStatusCode.OK, CountingServer.Text), await running);
    }

    [Theory]
    [InlineData("""{"alias": "new=counter", "queueLength": -1}""", "'queueLength' in {file} '-1' is not allowed; allowed: a whole number from 0 to 1000000")]
    [InlineData("""{"alias": "new=counter", "upstreams": [{"url": "http://127.0.0.1:1"}, {"url": "http://127.0.0.1:1/v1"}]}""", "'upstreams[1].url' in {file} is")]
    [InlineData("""{"alias": "new=counter", "apiKeyFile": "/no/such/file"}""", "--api-key-file /no/such/file: ")]
    [InlineData("""{"alias": ["new=counter", "other=new"]}""", "alias 'other'")]
    [InlineData("""{"alias": "new=counter", "qeueLength": 1}""", "'qeueLength' in {file} is not a setting")]
    [InlineData("""{"alias": "new=counter", "maxHeaders": "64KiB"}""", "{file} changes what needs a restart: 'maxHeaders' from 32KiB to 64KiB; nothing of it was applied")]
    [InlineData("""{"alias": "new=coun""", "--config {file} is not JSON")]
    public async Task Check_FileThatCannotBeUsed_NothingChangesAndTheReasonIsKept(string file, string problem)
    {
        await using var server = await CountingServer.StartAsync("counter");
        var good = $$"""{"upstreams": [{"url": "{{server.Url}}", "name": "first"}], "alias": "old=counter"}""";
        await StartAsync(good);
        await ServesAsync("old");

        await ChangeAsync(file);

        Assert.StartsWith(problem.Replace("{file}", File, StringComparison.Ordinal), Problem, StringComparison.Ordinal);
        Assert.Equal(["first"], _gateway.Upstreams.Names);
        Assert.Equal((HttpStatusCode.OK, CountingServer.Text), await SendAsync("old", "go", secret: null));
        Assert.Equal(["counter", "old"], await ModelsAsync());

        await ChangeAsync(good);

        Assert.Null(Problem);
        Assert.Equal((HttpStatusCode.OK, CountingServer.Text), await SendAsync("old", "go", secret: null));
    }

    [Fact]
    public async Task Check_KeyFileIsLeftOut_StaysClosed()
    {
        var secret = ApiKey.NewSecret();
        var keys = Path.Combine(_folder.FullName, "keys.json");
        await System.IO.File.WriteAllTextAsync(keys, new ApiKeyRing([new ApiKey { Name = "a", Hash = ApiKey.HashOf(secret) }]).ToJson(), Stop);
        await StartAsync($$"""{"apiKeyFile": "{{keys}}"}""");

        await ChangeAsync("{}");

        Assert.Contains("opens the gateway to clients without a key", Problem, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync("m", "go", secret: null)).Status);
    }

    [Fact]
    public async Task Check_AdminKeyFileComesAndIsLeftOut_ClosesAdministrationAndStaysClosed()
    {
        var secret = ApiKey.NewSecret();
        var keys = Path.Combine(_folder.FullName, "admin.json");
        await System.IO.File.WriteAllTextAsync(keys, new ApiKeyRing([new ApiKey { Name = "ops", Hash = ApiKey.HashOf(secret) }]).ToJson(), Stop);
        await StartAsync("{}");
        Assert.Equal(HttpStatusCode.OK, await AdminAsync(null));

        await ChangeAsync($$"""{"adminKeyFile": "{{keys}}"}""");

        Assert.Null(Problem);
        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.OK), (await AdminAsync(null), await AdminAsync(secret)));
        Assert.NotEqual(HttpStatusCode.Unauthorized, (await SendAsync("m", "go", secret: null)).Status);
        await ChangeAsync("{}");
        Assert.Contains("changes who may administer the gateway", Problem, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, await AdminAsync(null));

        async Task<HttpStatusCode> AdminAsync(string? key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{_gateway.Http}/admin/v1/members");
            request.Headers.Authorization = key is null ? null : new("Bearer", key);
            using var response = await _http.SendAsync(request, Stop);
            return response.StatusCode;
        }
    }

    /// <summary>The breaker kept the options of the start.</summary>
    [Fact]
    public async Task Check_BreakerChanges_IsInUseWithoutARestart()
    {
        await StartAsync("""{"breakerFailures": 5}""");

        await ChangeAsync("""{"breakerFailures": 2, "slowStart": "0s"}""");

        Assert.Null(Problem);
        var health = _gateway.Services.GetRequiredService<FleetTracker>().Health.Current;
        Assert.Equal((2, TimeSpan.Zero), (health.Breaker.FailuresInARow, health.SlowStart.Duration));
    }

    /// <summary>The refusal stayed until the configuration file was touched as well.</summary>
    [Fact]
    public async Task Check_FileOfKeysIsMendedAfterTheRefusal_IsApplied()
    {
        var keys = Path.Combine(_folder.FullName, "keys.json");
        await WriteKeysAsync(keys, "a");
        await StartAsync($$"""{"apiKeyFile": "{{keys}}"}""");
        await System.IO.File.WriteAllTextAsync(keys, "{", Stop);

        await ChangeAsync($$"""{"apiKeyFile": "{{keys}}", "queueLength": 7}""");
        _reload.Check();

        Assert.StartsWith($"--api-key-file {keys}", Problem, StringComparison.Ordinal);
        Assert.Equal(1, _log.Count(4011));
        await WriteKeysAsync(keys, "b");
        _reload.Check();
        Assert.Null(Problem);
        Assert.Equal(1, _log.Count(4010));
    }

    /// <summary>Only a line without level told that a file is refused, and no metric moved.</summary>
    [Fact]
    public async Task Follow_FileOfKeysIsBrokenAndMended_IsInLogAndStateAndThenInUse()
    {
        var keys = Path.Combine(_folder.FullName, "keys.json");
        await WriteKeysAsync(keys, "a");
        await StartAsync($$"""{"apiKeyFile": "{{keys}}"}""");
        var time = new FakeTimeProvider();
        _reload.Follow(time);

        await System.IO.File.WriteAllTextAsync(keys, "{", Stop);
        System.IO.File.SetLastWriteTimeUtc(keys, DateTime.UnixEpoch.AddYears(60));
        time.Advance(TimeSpan.FromSeconds(3));

        Assert.StartsWith($"--api-key-file {keys}", Problem, StringComparison.Ordinal);
        Assert.Equal((1, LogLevel.Error), (_log.Count(4014), _log.LevelOf(4014)));
        await WriteKeysAsync(keys, "b");
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(Problem);
        Assert.Equal(1, _log.Count(4013));
    }

    /// <summary>An upstream that did not change is not connected again: its streams and what is known of it stay.</summary>
    [Fact]
    public async Task Check_OtherUpstreamIsAdded_FirstIsLeftAlone()
    {
        await using var first = await CountingServer.StartAsync("counter", holds: true);
        await using var second = await CountingServer.StartAsync("counter");
        await StartAsync($$"""{"upstreams": [{"url": "{{first.Url}}", "name": "first"}]}""");
        await ServesAsync("counter");
        var running = AskAsync("counter", "hold");
        await first.Holding;

        await ChangeAsync($$"""{"upstreams": [{"url": "{{second.Url}}", "name": "second"}, {"url": "{{first.Url}}", "name": "first"}]}""");
        Assert.Equal(["first", "second"], _gateway.Upstreams.Names);
        first.Release();

        Assert.Equal((HttpStatusCode.OK, CountingServer.Text), await running);
        Assert.DoesNotContain("failovers", _lastAnswer, StringComparison.Ordinal);
    }
}
