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
public sealed class GatewayReloadTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });
    private readonly EventLog _log = new();
    private GatewayApp _gateway = null!;
    private GatewayReload _reload = null!;
    private string _lastAnswer = "";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string File => Path.Combine(_folder.FullName, "skein.json");

    private string? Problem => _gateway.Configuration.Problem;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        _reload.Dispose();
        await _gateway.StopAsync(new CancellationToken(canceled: true));
        await _gateway.DisposeAsync();
        _http.Dispose();
        _folder.Delete(recursive: true);
    }

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

    [Fact]
    public async Task Follow_CertificateIsBrokenAndMended_IsInLogAndStateAndThenInUse()
    {
        var files = MakeCertificate("first");
        await StartAsync(Tls(files));
        var certificates = CertificateFiles.Open(TestSources.Of(CertificateFiles.All, $"--tls-cert {files.Certificate} --tls-key {files.Key}"))!;
        var time = new FakeTimeProvider();
        using var following = certificates.Follow(time, new FileReports(_log, _gateway.Configuration));
        var whole = await System.IO.File.ReadAllTextAsync(files.Certificate, Stop);

        await System.IO.File.WriteAllTextAsync(files.Certificate, "no certificate", Stop);
        System.IO.File.SetLastWriteTimeUtc(files.Certificate, DateTime.UnixEpoch.AddYears(60));
        time.Advance(TimeSpan.FromSeconds(3));

        Assert.Contains(files.Certificate, Problem, StringComparison.Ordinal);
        Assert.Equal((1, LogLevel.Error), (_log.Count(4014), _log.LevelOf(4014)));
        await System.IO.File.WriteAllTextAsync(files.Certificate, whole, Stop);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(Problem);
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

    /// <summary>A certificate under another path needed a restart.</summary>
    [Fact]
    public async Task Check_CertificateUnderAnotherPath_IsShownFromTheNextConnectionOn()
    {
        var (first, second) = (MakeCertificate("first"), MakeCertificate("second"));
        await StartAsync(Tls(first));
        Assert.Equal(await SerialAsync(first), await ShownSerialAsync());

        await ChangeAsync(Tls(second));

        Assert.Null(Problem);
        Assert.Equal(await SerialAsync(second), await ShownSerialAsync());
        await ChangeAsync("{}");
        Assert.EndsWith("'tlsCert' to none: TLS is switched on and off at the start; nothing of it was applied", Problem, StringComparison.Ordinal);
        Assert.Equal(await SerialAsync(second), await ShownSerialAsync());
    }

    private static string Tls((string Certificate, string Key) files) => JsonSerializer.Serialize(new { tlsCert = files.Certificate, tlsKey = files.Key });

    private (string Certificate, string Key) MakeCertificate(string name) =>
        DevCertificate.Write([], TimeProvider.System, _folder.CreateSubdirectory(name).FullName);

    private static async Task<string> SerialAsync((string Certificate, string Key) files)
    {
        using var certificate = X509Certificate2.CreateFromPem(await System.IO.File.ReadAllTextAsync(files.Certificate, Stop));
        return certificate.SerialNumber;
    }

    private async Task<string?> ShownSerialAsync()
    {
        string? shown = null;
        using var tcp = new System.Net.Sockets.TcpClient();
        await tcp.ConnectAsync(_gateway.Http, Stop);
        await using var tls = new SslStream(tcp.GetStream(), leaveInnerStreamOpen: false, (_, certificate, _, _) => (shown = certificate?.GetSerialNumberString()) is not null);
        await tls.AuthenticateAsClientAsync("localhost");
        return shown;
    }

    private async Task StartAsync(string file)
    {
        await System.IO.File.WriteAllTextAsync(File, file, Stop);
        var command = new Command("gateway");
        foreach (var setting in GatewayCommand.Settings)
            command.Options.Add(setting.Option);
        var sources = new SettingSources(command.Parse("--http 0 --grpc 0 --log error"), GatewayCommand.Settings, new Hashtable(), File);
        var configuration = GatewayCommand.Read(sources);
        _gateway = GatewayCommand.Build(configuration);
        foreach (var upstream in configuration.Upstreams)
            _gateway.Upstreams.Add(upstream.Options);
        if (configuration.Keys is { } keys)
            _gateway.Keys.Use(keys.Ring);
        _reload = new GatewayReload(_gateway, configuration, _log, GatewayCommand.Reread);
        await _gateway.StartAsync(Stop);
    }

    private static Task WriteKeysAsync(string path, string name) => System.IO.File.WriteAllTextAsync(
        path, new ApiKeyRing([new ApiKey { Name = name, Hash = ApiKey.HashOf(ApiKey.NewSecret()) }]).ToJson(), Stop);

    private async Task ChangeAsync(string file)
    {
        await System.IO.File.WriteAllTextAsync(File, file, Stop);
        _reload.Check();
    }

    private async Task ServesAsync(string model, string? secret = null)
    {
        var deadline = TimeProvider.System.GetTimestamp();
        while ((await SendAsync(model, "ready?", secret)).Status != HttpStatusCode.OK)
            Assert.True(TimeProvider.System.GetElapsedTime(deadline) < TimeSpan.FromSeconds(30), $"{model} is not served: {_lastAnswer}");
    }

    private async Task<IEnumerable<string>> ModelsAsync(string? secret = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{_gateway.Http}/v1/models");
        if (secret is not null)
            request.Headers.Authorization = new("Bearer", secret);
        using var response = await _http.SendAsync(request, Stop);
        var list = await response.Content.ReadFromJsonAsync<System.Text.Json.Nodes.JsonNode>(Stop);
        return list!["data"]!.AsArray().Select(model => (string)model!["id"]!);
    }

    private Task<(HttpStatusCode Status, string Text)> AskAsync(string model, string prompt) => SendAsync(model, prompt, secret: null);

    private async Task<(HttpStatusCode Status, string Text)> SendAsync(string model, string prompt, string? secret)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{_gateway.Http}/v1/chat/completions")
        {
            Content = JsonContent.Create(new { model, messages = new[] { new { role = "user", content = prompt } }, stream = true }),
        };
        if (secret is not null)
            request.Headers.Authorization = new("Bearer", secret);
        using var response = await _http.SendAsync(request, Stop);
        _lastAnswer = await response.Content.ReadAsStringAsync(Stop);
        var words = System.Text.RegularExpressions.Regex.Matches(_lastAnswer, "\"content\":\"(?<words>[0-9 ]*)\"", default, TimeSpan.FromSeconds(5));
        return (response.StatusCode, string.Concat(words.Select(word => word.Groups["words"].Value)));
    }

    /// <summary>Ids and levels of what is logged.</summary>
    private sealed class EventLog : ILogger
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<(int Id, LogLevel Level)> _events = new();

        public int Count(int id) => _events.Count(line => line.Id == id);

        public LogLevel LevelOf(int id) => _events.First(line => line.Id == id).Level;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _events.Enqueue((eventId.Id, logLevel));
    }
}
