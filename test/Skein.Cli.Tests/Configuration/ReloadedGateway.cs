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

/// <summary>A gateway that runs, and its configuration file.</summary>
public abstract class ReloadedGateway : IAsyncLifetime
{
    private protected readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private protected readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });
    private protected readonly EventLog _log = new();
    private protected GatewayApp _gateway = null!;
    private protected GatewayReload _reload = null!;
    private protected string _lastAnswer = "";

    private protected static CancellationToken Stop => TestContext.Current.CancellationToken;

    private protected string File => Path.Combine(_folder.FullName, "skein.json");

    private protected string? Problem => _gateway.Configuration.Problem;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        _reload.Dispose();
        await _gateway.StopAsync(new CancellationToken(canceled: true));
        await _gateway.DisposeAsync();
        _http.Dispose();
        _folder.Delete(recursive: true);
        GC.SuppressFinalize(this);
    }

    private protected async Task StartAsync(string file)
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

    private protected static Task WriteKeysAsync(string path, string name) => System.IO.File.WriteAllTextAsync(
        path, new ApiKeyRing([new ApiKey { Name = name, Hash = ApiKey.HashOf(ApiKey.NewSecret()) }]).ToJson(), Stop);

    private protected async Task ChangeAsync(string file)
    {
        await System.IO.File.WriteAllTextAsync(File, file, Stop);
        _reload.Check();
    }

    private protected async Task ServesAsync(string model, string? secret = null)
    {
        var deadline = TimeProvider.System.GetTimestamp();
        while ((await SendAsync(model, "ready?", secret)).Status != HttpStatusCode.OK)
            Assert.True(TimeProvider.System.GetElapsedTime(deadline) < TimeSpan.FromSeconds(30), $"{model} is not served: {_lastAnswer}");
    }

    private protected async Task<IEnumerable<string>> ModelsAsync(string? secret = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{_gateway.Http}/v1/models");
        if (secret is not null)
            request.Headers.Authorization = new("Bearer", secret);
        using var response = await _http.SendAsync(request, Stop);
        var list = await response.Content.ReadFromJsonAsync<System.Text.Json.Nodes.JsonNode>(Stop);
        return list!["data"]!.AsArray().Select(model => (string)model!["id"]!);
    }

    private protected Task<(HttpStatusCode Status, string Text)> AskAsync(string model, string prompt) => SendAsync(model, prompt, secret: null);

    private protected async Task<(HttpStatusCode Status, string Text)> SendAsync(string model, string prompt, string? secret)
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
    private protected sealed class EventLog : ILogger
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
