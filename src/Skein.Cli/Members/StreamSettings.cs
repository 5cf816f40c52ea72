using System.Collections.Frozen;
using Skein.Cli.Settings;
using Skein.Routing.Streaming;

namespace Skein.Cli.Members;

/// <summary>Failover, retry and hedging of streams.</summary>
internal static class StreamSettings
{
    private static readonly StreamingOptions Defaults = new();
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private static readonly Setting<IReadOnlyList<string>> Hedge = new Setting<IReadOnlyList<string>>(
        "hedge", "models", "Hedge requests whose first token is late: off, all, or models [default: off; a request may ask for it]", "off, all, or model names",
        [], TryReadHedge).Live();

    private static readonly Setting<double> HedgeShare = Setting.Real(
        "hedge-share", "Maximum share of requests that are hedged [default: 0.05]", Defaults.HedgeShare, 0, 1).Live();

    private static readonly Setting<TimeSpan> MaxReplay = Setting.Duration(
        "max-replay", "Maximum time to regenerate an answer that no engine can resume, from its first token; 0s disables it [default: 30s]",
        Defaults.MaxReplay, TimeSpan.FromMinutes(10)).Live();

    private static readonly Setting<TimeSpan> LinkStall = Setting.Duration(
        "link-stall", "Silence of the link to a replica after which it counts as lost; heartbeats are sent every 250ms [default: 900ms]",
        Defaults.LinkSilence, TimeSpan.FromMinutes(1), TimeSpan.FromMilliseconds(300)).Live();

    private static readonly Setting<TimeSpan> FirstTokenStall = Setting.Duration(
        "first-token-stall", "Maximum wait for the first token, longer for long prompts [default: 120s]",
        Defaults.FirstTokenSilence, StreamingOptions.LongestSilence, Second).Live();

    private static readonly Setting<TimeSpan> EngineStall = Setting.Duration(
        "engine-stall", "Maximum wait for the next token, longer for slow engines; a frozen engine is found sooner [default: 60s]",
        Defaults.EngineSilence, StreamingOptions.LongestSilence, Second).Live();

    private static readonly Setting<double> RetryShare = Setting.Real(
        "retry-share", "Maximum share of retries after engine faults; ten per second are always allowed [default: 0.2]", Defaults.RetryShare, 0, 1).Live();

    private static readonly Setting<double> RetryRequestShare = Setting.Real(
        "retry-request-share", "Share of the retries allowed at once that one request may use, but at least 3 [default: 0.25]",
        Defaults.RetryRequestShare, 0, 1).Live();

    private static readonly Setting<double> StragglerFactor = new Setting<double>(
        "straggler-factor", "x", "How many times slower than others a replica must be for its streams to be moved; 0 disables it [default: 4]",
        "0, or a number from 1 to 1000",
        Defaults.StragglerFactor, (string text, out double read) =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out read) && read is 0 or (>= 1 and <= 1_000)).Live();

    public static IReadOnlyList<ISetting> All { get; } =
        [Hedge, HedgeShare, MaxReplay, LinkStall, FirstTokenStall, EngineStall, RetryShare, RetryRequestShare, StragglerFactor];

    public static StreamingOptions Read(SettingSources sources) => new()
    {
        HedgeAll = Hedge.Read(sources).Contains("all"),
        HedgedModels = Hedge.Read(sources).ToFrozenSet(StringComparer.Ordinal),
        HedgeShare = HedgeShare.Read(sources),
        MaxReplay = MaxReplay.Read(sources),
        LinkSilence = LinkStall.Read(sources),
        FirstTokenSilence = FirstTokenStall.Read(sources),
        EngineSilence = EngineStall.Read(sources),
        RetryShare = RetryShare.Read(sources),
        RetryRequestShare = RetryRequestShare.Read(sources),
        StragglerFactor = StragglerFactor.Read(sources),
    };

    private static bool TryReadHedge(string text, out IReadOnlyList<string> models)
    {
        models = text == "off" ? [] : text.Split(',', StringSplitOptions.TrimEntries);
        return models.All(model => model.Length > 0);
    }
}
