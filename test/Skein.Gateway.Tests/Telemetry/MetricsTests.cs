using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Skein.Gateway.Telemetry;
using Skein.Gateway.Tests.Api;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Telemetry;

/// <summary>Runs alone in the process, because OpenTelemetry listens to every meter of Skein, also to those of gateways in other tests.</summary>
[CollectionDefinition(nameof(MetricsTests), DisableParallelization = true)]
[Collection(nameof(MetricsTests))]
public sealed class MetricsTests
{
    [Theory]
    [InlineData("skein_requests_total", "gen_ai_operation_name=\"chat\",outcome=\"completed\"", "0")]
    [InlineData("skein_requests_total", "gen_ai_operation_name=\"text_completion\",outcome=\"stream_lost\"", "0")]
    [InlineData("skein_requests_total", "gen_ai_operation_name=\"generate_content\",outcome=\"too_many_sessions\"", "0")]
    [InlineData("skein_tokens_total", "gen_ai_operation_name=\"chat\",gen_ai_token_type=\"output\"", "0")]
    [InlineData("skein_failovers_total", "reason=\"link_stall\"", "0")]
    [InlineData("skein_hedges_total", "outcome=\"asked\"", "5")]
    [InlineData("skein_hedges_total", "outcome=\"won\"", "3")]
    [InlineData("skein_streams_total", "resume_tier=\"none\"", "0")]
    [InlineData("skein_failovers_total", "reason=\"engine_stall\"", "2")]
    [InlineData("skein_frames_late_total", "", "7")]
    [InlineData("skein_queue_depth", "", "0")]
    [InlineData("skein_request_bodies_bytes", "", "0")]
    [InlineData("skein_process_stalls_total", "", "1")]
    [InlineData("skein_process_stall_seconds_total", "", "9.9")]
    [InlineData("skein_sessions", "", "11")]
    [InlineData("skein_journals_bytes", "", "13")]
    [InlineData("skein_members", "role=\"replica\",state=\"suspect\"", "2")]
    [InlineData("skein_members", "role=\"replica\",state=\"dead\"", "0")]
    [InlineData("skein_membership_dropped_total", "cause=\"malformed\"", "0")]
    [InlineData("skein_membership_dropped_total", "cause=\"cluster\"", "5")]
    [InlineData("skein_breaker_state", "replica=\"replica-1\"", "2")]
    [InlineData("skein_replica_slots", "replica=\"replica-1\"", "8")]
    [InlineData("skein_replica_leases", "replica=\"replica-1\"", "3")]
    [InlineData("skein_replica_draining", "replica=\"replica-2\"", "1")]
    [InlineData("skein_config_valid", "", "1")]
    [InlineData("skein_key_refused_total", "reason=\"key_not_admin\"", "0")]
    [InlineData("skein_config_reloads_total", "outcome=\"refused\"", "0")]
    [InlineData("skein_breaker_ejections_total", "replica=\"replica-1\"", "3")]
    public async Task Scrape_BeforeAnyRequest_ShowsEveryCount(string name, string labels, string value)
    {
        await using var gateway = await TestGateway.StartAsync();

        Assert.Equal(value, Value(await gateway.Client.GetStringAsync("/metrics"), name, labels));
    }

    [Fact]
    public async Task Scrape_AfterRequests_CountsThemTheirTokensAndTheirTimes()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a", "b"));
            session.End();
        });
        await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.StreamedChat);
        await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.WholeChat);
        await gateway.Outcomes.NextAsync();
        await gateway.Outcomes.NextAsync();

        var metrics = await gateway.Client.GetStringAsync("/metrics");

        const string Chat = "gen_ai_operation_name=\"chat\"";
        const string Model = $"{Chat},gen_ai_response_model=\"tiny\"";
        Assert.Equal("2", Value(metrics, "skein_requests_total", $"{Chat},outcome=\"completed\""));
        Assert.Equal("4", Value(metrics, "skein_tokens_total", $"{Model},gen_ai_token_type=\"output\""));
        Assert.Equal("6", Value(metrics, "skein_tokens_total", $"{Model},gen_ai_token_type=\"input\""));
        const string Served = $"{Chat},gen_ai_provider_name=\"skein\",gen_ai_response_model=\"tiny\"";
        Assert.Equal("2", Value(metrics, "gen_ai_server_time_to_first_token_seconds_count", Served));
        Assert.Equal("2", Value(metrics, "gen_ai_server_request_duration_seconds_count", Served));
    }

    /// <summary>Exported data was of <c>unknown_service:skein</c>.</summary>
    [Fact]
    public async Task Scrape_TellsServiceAndBuild()
    {
        await using var gateway = await TestGateway.StartAsync();

        var metrics = await gateway.Client.GetStringAsync("/metrics");

        Assert.Matches("(?m)^target_info\\{.*service_name=\"skein-gateway\"", metrics);
        Assert.Matches("(?m)^skein_build_info\\{.*version=\"[0-9]+\\.[0-9]+\\.[0-9]+", metrics);
    }

    /// <summary>A client chooses models and paths: their number must not be the number of series.</summary>
    [Fact]
    public async Task Scrape_AfterThousandsOfModelsAndPaths_HasNoMoreSeries()
    {
        await using var gateway = await TestGateway.StartAsync(session => session.Fail(Fault.ModelNotFound, "there is no such model"));
        await AskAsync(gateway, "warm", "/warm");
        var before = await SeriesAsync(gateway);

        await Parallel.ForAsync(0, 5000, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, _) => await AskAsync(gateway, $"model-{i}", $"/path-{i}"));

        Assert.Equal(before, await SeriesAsync(gateway));
    }

    [Fact]
    public async Task Scrape_AfterSessions_HasWaitsGapsAndPaceByReplica()
    {
        await using var gateway = await TestGateway.StartAsync();
        var times = gateway.Services.GetRequiredService<SessionMetrics>();

        times.Waited("tiny", TimeSpan.FromSeconds(0.2));
        times.Resumed("link_stall", TimeSpan.FromSeconds(1.5));
        times.Generated("tiny", "replica-1", isChat: true, TimeSpan.FromMilliseconds(20));

        var metrics = await gateway.Client.GetStringAsync("/metrics");
        Assert.Equal("0.2", Value(metrics, "skein_queue_wait_seconds_sum", "gen_ai_response_model=\"tiny\""));
        Assert.Equal("1.5", Value(metrics, "skein_failover_gap_seconds_sum", "reason=\"link_stall\""));
        Assert.Equal("0.02", Value(metrics, "gen_ai_server_time_per_output_token_seconds_sum",
            "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"skein\",gen_ai_response_model=\"tiny\",replica=\"replica-1\""));
        Assert.Equal("0.25", Value(metrics, "skein_replica_kv_used", "replica=\"replica-1\""));
        Assert.Matches("(?m)^skein_process_start_time_seconds\\{[^}]*\\} [0-9]{10}", metrics);
    }

    /// <summary>What the dashboard and the alerts ask for exists.</summary>
    [Theory]
    [InlineData("deploy/grafana/skein.json")]
    [InlineData("deploy/prometheus/skein-alerts.yml")]
    public async Task Scrape_HasWhatTheShippedFilesUse(string file)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a", "b"));
            session.End();
        }, telemetry: new TelemetryOptions { Logs = [new LineSink("log", () => Stream.Null, _ => "", TimeProvider.System)] });
        var times = gateway.Services.GetRequiredService<SessionMetrics>();
        times.Waited("tiny", TimeSpan.Zero);
        times.Resumed("link_stall", TimeSpan.Zero);
        times.Generated("tiny", "replica-1", isChat: true, TimeSpan.Zero);
        await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.StreamedChat);
        await gateway.Outcomes.NextAsync();
        var keys = gateway.Services.GetRequiredService<Skein.Gateway.Keys.ApiKeyStore>();
        keys.MeterOf(new Skein.Gateway.Keys.ApiKey { Name = "a", Hash = "" });
        var exported = Regex.Matches(await gateway.Client.GetStringAsync("/metrics"), "(?m)^(?<name>[a-z_]+)[{ ]", default, TimeSpan.FromSeconds(5))
            .Select(name => name.Groups["name"].Value).ToHashSet(StringComparer.Ordinal);

        var used = Regex.Matches(await File.ReadAllTextAsync(Path.Combine(Root(), file)), @"\b(?:skein|gen_ai_server)_[a-z_]+\b", default, TimeSpan.FromSeconds(5))
            .Select(name => name.Value).Where(name => !name.StartsWith("gen_ai_server_address", StringComparison.Ordinal)).Distinct(StringComparer.Ordinal).ToList();

        Assert.True(used.Count > 10, $"{file} uses {used.Count} metrics");
        Assert.Empty(used.Except(exported));
    }

    [Fact]
    public async Task Scrape_AfterAFailure_NamesTheError()
    {
        await using var gateway = await TestGateway.StartAsync(session => session.Fail(Fault.QueueFull, "full"));
        await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.WholeChat);
        await gateway.Outcomes.NextAsync();

        var metrics = await gateway.Client.GetStringAsync("/metrics");

        Assert.Equal("1", Value(metrics, "skein_requests_total", "gen_ai_operation_name=\"chat\",outcome=\"queue_full\""));
        Assert.Equal("1", Value(metrics, "gen_ai_server_request_duration_seconds_count", "error_type=\"queue_full\",gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"skein\""));
    }

    private static async Task AskAsync(TestGateway gateway, string model, string path)
    {
        var body = $$"""{"model":"{{model}}","messages":[{"role":"user","content":"a"}]}""";
        await gateway.Client.PostTextAsync(Requests.ChatPath, body);
        (await gateway.Client.GetAsync(path)).Dispose();
    }

    /// <summary>Number of series, without those of the runtime.</summary>
    private static async Task<int> SeriesAsync(TestGateway gateway) =>
        (await gateway.Client.GetStringAsync("/metrics")).Split('\n').Count(line => Regex.IsMatch(line, "^(?:skein|gen_ai)_", default, TimeSpan.FromSeconds(5)));

    /// <summary>The alert named an outcome that does not exist, and lacked three: every request could fail without a word.</summary>
    [Fact]
    public async Task Alerts_OutcomesThatFail_AreThoseOfTheTable()
    {
        var file = await File.ReadAllTextAsync(Path.Combine(Root(), "deploy/prometheus/skein-alerts.yml"));
        var named = Regex.Matches(file, "outcome=~\"(?<outcomes>[a-z_|]+)\"", default, TimeSpan.FromSeconds(5))
            .SelectMany(match => match.Groups["outcomes"].Value.Split('|')).Distinct(StringComparer.Ordinal);

        Assert.Equal(
            RequestOutcomes.All.Where(FaultTable.IsFailureCode).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal),
            named.Order(StringComparer.Ordinal));
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Skein.slnx")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException("no folder above the tests has Skein.slnx");
        return folder.FullName;
    }

    /// <summary>Value of a series, given its labels in alphabetical order; labels that the exporter adds are left out.</summary>
    private static string Value(string metrics, string name, string labels)
    {
        foreach (Match line in Regex.Matches(metrics, $$"""^{{name}}(?:\{(?<labels>[^}]*)\})? (?<value>\S+)""", RegexOptions.Multiline, TimeSpan.FromSeconds(5)))
        {
            var own = line.Groups["labels"].Value.Split(',').Where(label => label.Length > 0 && !label.StartsWith("otel_", StringComparison.Ordinal)).Order(StringComparer.Ordinal);
            if (string.Join(",", own) == labels)
                return line.Groups["value"].Value;
        }

        throw new InvalidDataException($"no series {name}{{{labels}}} in:\n{metrics}");
    }
}
