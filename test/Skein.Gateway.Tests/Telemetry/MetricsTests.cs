using System.Text.RegularExpressions;
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
        Assert.Equal("2", Value(metrics, "gen_ai_server_time_to_first_token_seconds_count", Model));
        Assert.Equal("2", Value(metrics, "gen_ai_server_request_duration_seconds_count", Model));
    }

    [Fact]
    public async Task Scrape_AfterAFailure_NamesTheError()
    {
        await using var gateway = await TestGateway.StartAsync(session => session.Fail(Fault.QueueFull, "full"));
        await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.WholeChat);
        await gateway.Outcomes.NextAsync();

        var metrics = await gateway.Client.GetStringAsync("/metrics");

        Assert.Equal("1", Value(metrics, "skein_requests_total", "gen_ai_operation_name=\"chat\",outcome=\"queue_full\""));
        Assert.Equal("1", Value(metrics, "gen_ai_server_request_duration_seconds_count", "error_type=\"queue_full\",gen_ai_operation_name=\"chat\""));
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
