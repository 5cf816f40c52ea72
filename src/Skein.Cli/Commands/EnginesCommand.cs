using Google.Protobuf;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Engines;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.OpenAiCompatible.Proofs;
using Spectre.Console;

namespace Skein.Cli.Commands;

/// <summary><c>skein engines check</c>: how the lost answers of servers come out, measured.</summary>
internal static class EnginesCommand
{
    private static readonly TimeSpan TrialTimeout = TimeSpan.FromMinutes(2);

    private const string Question = """[{"role":"user","content":"Hi"}]""";

    private static readonly Argument<string[]> Urls = new("url") { Description = "Servers to check, one after the other", Arity = ArgumentArity.OneOrMore };

    private static readonly Setting<int> Answers = Setting.Number("answers", "Answers of each kind of request that are cut", 50, 1, 1000);

    private static readonly Setting<int> Seed = Setting.Number("seed", "Chooses the points at which answers are cut", 1, 0, int.MaxValue);

    public static Command Create() => new("engines", "Examine model servers")
    {
        CommandLine.Verb(
            "check", "Cut answers of a server at random points, continue them as lost ones, and say which come out as undisturbed; "
                + "exits 1 if one differs whose tier is exact",
            [Answers, Seed, CommandOutput.Json, .. EngineSettings.OfServers], RunAsync, Urls),
    };

    private static async Task<int> RunAsync(SettingSources sources)
    {
        using var signal = new StopSignal(supervised: false);
        var (answers, seed) = (Answers.Read(sources), Seed.Read(sources));
        var servers = sources.Get(Urls).Select(text => ReadUrl(text, sources)).ToList();
        var isBroken = false;
        foreach (var server in servers)
        {
            try
            {
                var result = await CheckAsync(server, answers, new Random(seed), signal.Stop);
                CommandOutput.Print(sources, result, () => Print(result), indented: true);
                isBroken |= result.Requests.Any(request => request.Broken);
            }
            catch (FaultException error)
            {
                throw new CommandFailedException(error.Message, error);
            }
        }
        return isBroken ? CommandLine.Failure : CommandLine.Success;
    }

    private static OpenAiEngineOptions ReadUrl(string text, SettingSources sources) => EngineSettings.IsServer(text)
        ? EngineSettings.ReadServer("url", new Uri(text), sources, slots: null)
        : throw new UsageException($"url '{text}' is not allowed; allowed: an http:// or https:// address");

    private static async Task<CheckedServer> CheckAsync(OpenAiEngineOptions options, int answers, Random random, CancellationToken cancellationToken)
    {
        await using var engine = await OpenAiEngineFactory.ConnectAsync(options, TimeProvider.System, cancellationToken: cancellationToken);
        var model = (await engine.DescribeAsync(cancellationToken)).Models.FirstOrDefault(candidate => !candidate.NoGeneration)
            ?? throw new CommandFailedException($"{options.BaseUrl} serves no model that generates text");
        await TryAsync(engine, model.Name, cancellationToken);
        model = (await engine.DescribeAsync(cancellationToken)).Models.First(candidate => candidate.Name == model.Name);
        var rows = new List<EngineCheckRow>();
        await foreach (var row in EngineCheck.RunAsync(engine, model.Name, answers, random, cancellationToken))
            rows.Add(row);
        return new CheckedServer(
            options.BaseUrl.ToString(), engine.Kind, model.Name, model.ResumeTier.ToWireName() ?? "", model.ResumeReason,
            [.. rows.Select(row => new CheckedRequest(
                row.Kind, row.Tier.ToWireName() ?? "", row.IsMadeAgain, row.Answers, row.Equal, row.Shown, row.Reason, row.WhyNotExact, row.IsBroken))]);
    }

    /// <summary>
    /// Waits until the engine knows how it continues answers: a slow server is tried while it serves, and a model that is not loaded when it has answered.
    /// </summary>
    private static async Task TryAsync(IInferenceEngine engine, string model, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var slots = new FreeSlots();
        var running = engine.RunAsync(slots, stop.Token);
        var request = new GenerateRequest { Model = model, MaxTokens = 1, Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8(Question) } };
        await foreach (var frame in engine.GenerateAsync(request, cancellationToken))
        {
            // The answer itself does not matter.
        }
        if ((await engine.DescribeAsync(cancellationToken)).Models.Any(known => known.Name == model && known is { ResumeTier: ResumeTier.None, Chat: true }))
            await Task.WhenAny(slots.Changed, Task.Delay(TrialTimeout, TimeProvider.System, cancellationToken));
        await stop.CancelAsync();
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static void Print(CheckedServer server)
    {
        var reason = server.Reason.Length > 0 ? $" ({server.Reason})" : "";
        AnsiConsole.WriteLine($"{server.Url}: {server.Kind}, model {server.Model}, resume tier {server.Tier}{reason}");
        var table = new Table().Border(TableBorder.Simple).AddColumns("REQUEST", "TIER", "EQUAL", "REMARK");
        foreach (var row in server.Requests)
        {
            table.AddRow(
                Markup.Escape(row.Request), row.Tier.Length == 0 ? "not served" : row.MadeAgain ? $"{row.Tier}, made again" : row.Tier,
                $"{row.Equal} of {row.Answers}", Markup.Escape(RemarkOf(row)));
        }
        AnsiConsole.Write(table);
    }

    private static string RemarkOf(CheckedRequest row) => string.Join(
        "; ",
        new[]
        {
            row.Broken ? "NOT EXACT" : "", row.Reason, row.WhyNotExact,
            row.Shown is not { } shown || row.Tier.Length == 0 ? ""
                : $"{shown} of {row.Answers} {(row.Request.Contains("tools", StringComparison.Ordinal) ? "call" : "reason")}",
        }.Where(part => part.Length > 0));

    private sealed record CheckedServer(string Url, string Kind, string Model, string Tier, string Reason, IReadOnlyList<CheckedRequest> Requests);

    private sealed record CheckedRequest(
        string Request, string Tier, bool MadeAgain, int Answers, int Equal, int? Shown, string Reason, string WhyNotExact, bool Broken);

    private sealed class FreeSlots : IEngineSlots
    {
        private readonly TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Changed => _changed.Task;

        public IDisposable TryTake() => Slot.Instance;

        public void DescriptionChanged(EngineDescription description) => _changed.TrySetResult();

        private sealed class Slot : IDisposable
        {
            public static Slot Instance { get; } = new();

            public void Dispose()
            {
                // All slots are free.
            }
        }
    }
}
