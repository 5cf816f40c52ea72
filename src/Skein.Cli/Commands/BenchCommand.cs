using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Load;

namespace Skein.Cli.Commands;

/// <summary><c>skein bench</c>: what clients of a server see under load.</summary>
internal static class BenchCommand
{
    private static readonly Setting<Uri?> Target = new(
        "target", "url", "Server to benchmark: http(s) for any OpenAI-compatible server, grpc(s) for Skein [default: --gateway]",
        "an http, https, grpc or grpcs address", null,
        (string text, out Uri? read) => Uri.TryCreate(text, UriKind.Absolute, out read) && read.Scheme is "http" or "https" or "grpc" or "grpcs");

    private static readonly Setting<string?> Model = Setting.Text("model", "name", "Requested model [default: the first one listed]").Of("bench");
    private static readonly Setting<int> Concurrency = Setting.Number("concurrency", "Concurrent requests [default: 16]", 16, 1, 20_000);
    private static readonly Setting<int> Requests = Setting.Number("requests", "Measured requests [default: 200]", 200, 1, 100_000_000);
    private static readonly Setting<int> WarmUpRequests = Setting.Number("warm-up", "Requests before the measured ones [default: 0]", 0, 0, 1_000_000);
    private static readonly Setting<int> MaxTokens = Setting.Number("max-tokens", "Maximum answer length in tokens [default: 64]", 64, 1, 1_000_000);
    private static readonly Setting<double> Temperature = Setting.Real("temperature", "Sampling temperature; 0 is greedy [default: 0]", 0, 0, 2);
    private static readonly Setting<TimeSpan> Timeout = Setting.Duration(
        "timeout", "Timeout of one request [default: 2m]", TimeSpan.FromMinutes(2), TimeSpan.FromHours(24));

    private static readonly Setting<IReadOnlyDictionary<string, JsonElement>> Extra = new(
        "extra", "json", "Additional members of every request, as a JSON object [default: none]",
        $"a JSON object without {string.Join(", ", BenchOptions.OwnMembers)}", new Dictionary<string, JsonElement>(), TryReadMembers);

    private static readonly Setting<bool> Inexact = Setting.Flag("inexact", "Do not compare answers to the same prompt");

    public static Command Create() => CommandLine.Verb(
        "bench",
        "Measure TTFT, ITL, tokens/s, errors and exactness under load; exits 1 unless every answer was complete and exact",
        [
            .. GatewayConnection.All, Target, Model, Concurrency, Requests, WarmUpRequests, MaxTokens, Temperature, Timeout, Extra, Inexact, CommandOutput.Json,
        ],
        RunAsync);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var options = new BenchOptions
        {
            Target = Target.Read(sources) ?? GatewayConnection.Address.Read(sources),
            Key = GatewayConnection.Key(sources),
            Tls = GatewayConnection.Tls(sources),
            Model = Model.Read(sources) ?? "",
            Concurrency = Concurrency.Read(sources),
            Requests = Requests.Read(sources),
            WarmUpRequests = WarmUpRequests.Read(sources),
            MaxTokens = MaxTokens.Read(sources),
            Temperature = (float)Temperature.Read(sources),
            RequestTimeout = Timeout.Read(sources),
            Extra = Extra.Read(sources),
            CheckExactness = !Inexact.Read(sources),
        };
        using var signal = new StopSignal(supervised: false);
        try
        {
            BenchReport report;
            using (var progress = new ProgressLine())
            {
                report = await Bench.RunAsync(
                    options, TimeProvider.System, done => progress.Show($"{100L * done / options.Requests} % of {options.Requests} requests"), signal.Stop);
            }
            CommandOutput.Print(sources, report, () => Print(report), indented: true);
            return report.Succeeded == report.Requests ? CommandLine.Success : CommandLine.Failure;
        }
        catch (BenchException error)
        {
            throw new CommandFailedException(error.Message, error);
        }
        catch (OperationCanceledException)
        {
            throw new CommandFailedException("stopped before the end: there is no report");
        }
    }

    /// <summary>Reads additional members of requests.</summary>
    internal static bool TryReadMembers(string text, out IReadOnlyDictionary<string, JsonElement> members)
    {
        Dictionary<string, JsonElement>? read = null;
        try
        {
            read = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(text, JsonSerializerOptions.Strict);
        }
        catch (JsonException)
        {
            // The setting's error message says what is allowed.
        }
        members = read ?? [];
        return read is not null && !read.Keys.Any(BenchOptions.OwnMembers.Contains);
    }

    private static void Print(BenchReport report)
    {
        var table = new FigureTable();
        var exact = report.Diverged > 0 ? "" : " and exact";
        table.Add("target", $"{report.Target}, model {report.Model}");
        table.Add(
            "requests",
            $"{report.Succeeded} of {report.Requests} complete{exact}, {report.Concurrency} at a time, in {report.DurationSeconds:0.00} s");
        table.AddErrors(report.Errors);
        table.Add("rate", $"{report.TokensPerSecond:0} tokens/s, {report.RequestsPerSecond:0.#} requests/s");
        table.Add("time to first token", report.TimeToFirstTokenMs);
        table.Add("inter-token latency", report.InterTokenMs);
        table.Add("whole request", report.EndToEndMs);
        table.Add("failovers", $"{report.Failovers} in {report.StreamsFailedOver} streams");
        table.AddExamples(report.Examples);
        table.Print();
    }
}
