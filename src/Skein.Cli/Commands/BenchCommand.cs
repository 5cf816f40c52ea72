using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Load;
using Spectre.Console;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary><c>skein bench</c>: what clients would see under load.</summary>
internal static class BenchCommand
{
    private static readonly Setting<Uri?> Target = new(
        "target", "url", "Whom to ask: http(s) for any OpenAI-compatible server, grpc(s) for Skein [default: --gateway]", "an http, https, grpc or grpcs address", null,
        (string text, out Uri? read) => Uri.TryCreate(text, UriKind.Absolute, out read) && read.Scheme is "http" or "https" or "grpc" or "grpcs");

    private static readonly Setting<string?> Model = Setting.Text("model", "name", "Model to ask [default: the first one listed]").Of("bench");
    private static readonly Setting<int> Concurrency = Setting.Number("concurrency", "Requests at the same time [default: 16]", 16, 1, 20_000);
    private static readonly Setting<int> Requests = Setting.Number("requests", "Requests to measure [default: 200]", 200, 1, 100_000_000);
    private static readonly Setting<int> WarmUp = Setting.Number("warm-up", "Requests before them [default: 0]", 0, 0, 1_000_000);
    private static readonly Setting<int> MaxTokens = Setting.Number("max-tokens", "Length of an answer [default: 64]", 64, 1, 1_000_000);
    private static readonly Setting<double> Temperature = Setting.Real("temperature", "0 is greedy [default: 0]", 0, 0, 2);
    private static readonly Setting<TimeSpan> Timeout = Setting.Duration("timeout", "Longest request [default: 2m]", TimeSpan.FromMinutes(2), TimeSpan.FromHours(24));
    private static readonly Setting<IReadOnlyDictionary<string, JsonElement>> Extra = new(
        "extra", "json", "Members that every request carries besides the bench's own, a JSON object [default: none]", $"a JSON object without {string.Join(", ", BenchOptions.OwnMembers)}",
        new Dictionary<string, JsonElement>(), TryReadMembers);

    private static readonly Setting<bool> Inexact = Setting.Flag("inexact", "Do not compare answers to the same prompt");
    private static readonly Setting<bool> Json = Setting.Flag("json", "Print JSON");

    public static Command Create() => CommandLine.Verb(
        "bench",
        "Measure TTFT, ITL, tokens/s, errors and exactness under load; exits 1 unless every answer was whole and exact",
        [GatewayConnection.Address, Target, Model, Concurrency, Requests, WarmUp, MaxTokens, Temperature, Timeout, Extra, Inexact, Json],
        RunAsync);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var options = new BenchOptions
        {
            Target = Target.Read(sources) ?? GatewayConnection.Address.Read(sources),
            Model = Model.Read(sources) ?? "",
            Concurrency = Concurrency.Read(sources),
            Requests = Requests.Read(sources),
            WarmUpRequests = WarmUp.Read(sources),
            MaxTokens = MaxTokens.Read(sources),
            Temperature = (float)Temperature.Read(sources),
            RequestTimeout = Timeout.Read(sources),
            Extra = Extra.Read(sources),
            CheckExactness = !Inexact.Read(sources),
        };
        using var signal = new StopSignal(supervised: false);
        try
        {
            var report = await Bench.RunAsync(options, TimeProvider.System, new PercentLine(), signal.Stop);
            Print(report, Json.Read(sources));
            return report.Succeeded == report.Requests ? CommandLine.Success : CommandLine.Failure;
        }
        catch (BenchException error)
        {
            throw new CommandFailedException(error.Message, error);
        }
        catch (OperationCanceledException)
        {
            throw new CommandFailedException("stopped before the end: nothing to report");
        }
    }

    private static bool TryReadMembers(string text, out IReadOnlyDictionary<string, JsonElement> members)
    {
        Dictionary<string, JsonElement>? read = null;
        try
        {
            read = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(text, JsonSerializerOptions.Strict);
        }
        catch (JsonException)
        {
            // Told by the setting: what is allowed is all that helps.
        }
        members = read ?? [];
        return read is not null && !read.Keys.Any(BenchOptions.OwnMembers.Contains);
    }

    private static void Print(BenchReport report, bool json)
    {
        if (json)
        {
            Console.WriteLine(report.ToJson());
            return;
        }
        var table = new Table().Border(TableBorder.Simple).HideHeaders().AddColumn("figure").AddColumn("value");
        void Row(string figure, FormattableString value) => table.AddRow(Markup.Escape(figure), Markup.Escape(value.ToString(CultureInfo.InvariantCulture)));
        void Times(string figure, LatencySummary ms) => Row(figure, $"p50 {ms.P50:0.#} ms, p90 {ms.P90:0.#}, p99 {ms.P99:0.#}, max {ms.Max:0.#}");

        Row("target", $"{report.Target}, model {report.Model}");
        Row("requests", $"{report.Succeeded} of {report.Requests} whole{(report.Diverged > 0 ? "" : " and exact")}, {report.Concurrency} at a time, in {report.DurationSeconds:0.00} s");
        foreach ((var kind, var count) in report.Errors)
            Row($"  {kind}", $"{count}");
        Row("rate", $"{report.TokensPerSecond:0} tokens/s, {report.RequestsPerSecond:0.#} requests/s");
        Times("time to first token", report.TimeToFirstTokenMs);
        Times("between tokens", report.InterTokenMs);
        Times("whole request", report.EndToEndMs);
        Row("failovers", $"{report.Failovers} in {report.StreamsFailedOver} streams");
        foreach (var example in report.Examples)
            Row("  for example", $"{example}");
        AnsiConsole.Write(table);
    }

    /// <summary>One line on standard error, at most once per percent, that a terminal overwrites.</summary>
    private sealed class PercentLine : IProgress<BenchProgress>
    {
        private int _told = -1;

        public void Report(BenchProgress value)
        {
            var percent = (int)(100L * value.Done / value.Total);
            if (Console.IsErrorRedirected || Interlocked.Exchange(ref _told, percent) == percent)
                return;
            Console.Error.Write($"\r{value.Done} of {value.Total} requests ");
            if (value.Done == value.Total)
                Console.Error.WriteLine();
        }
    }
}
