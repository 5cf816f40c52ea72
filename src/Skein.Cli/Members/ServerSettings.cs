using Skein.Cli.Settings;
using Skein.Engines.OpenAiCompatible;
using Skein.Serving;

namespace Skein.Cli.Members;

/// <summary>The settings of OpenAI-compatible servers: what they cannot tell of themselves, and how long they may be silent.</summary>
internal static class ServerSettings
{
    private const string KeyVariable = "SKEIN_ENGINE_KEY";
    private const int MostFingerprintCharacters = 128;

    private static readonly OpenAiEngineOptions Defaults = new() { BaseUrl = new Uri("http://localhost") };
    private static readonly IReadOnlyDictionary<string, OpenAiEngineKind> Kinds = Enum.GetValues<OpenAiEngineKind>().ToDictionary(kind => kind.ToWireName());

    private static readonly Setting<string?> KeyFile = Setting.Text("engine-key-file", "file", $"File with the API key of the server; or set {KeyVariable}");
    private static readonly Setting<bool> BitExact = Setting.Flag("bit-exact", "Declare that the server computes the same bits in any batch: greedy answers are then resumed exactly");

    private static readonly Setting<OpenAiEngineKind> Kind = new(
        "engine-kind", "kind", $"Whose server it is: {string.Join(", ", Kinds.Keys.Skip(1))} (any other) [default: auto, found out from what it answers]", string.Join(", ", Kinds.Keys), OpenAiEngineKind.Auto, Kinds.TryGetValue);

    private static readonly Setting<string?> Fingerprint = new(
        "engine-fingerprint", "text", "Declare that servers with the same text are interchangeable [default: a hash over what the server tells of itself]",
        $"1 to {MostFingerprintCharacters} printable ASCII characters", null, (string text, out string? read) =>
        {
            read = text;
            return text.Length is > 0 and <= MostFingerprintCharacters && text.All(character => character is >= ' ' and <= '~');
        });

    private static readonly Setting<bool?> ChatCall = new(
        "engine-chat-call", "true|false", "Whether chats go through the server's own chat call, which parses reasoning and resumes by text [default: found out for llama.cpp, else false]",
        "true or false", null, (string text, out bool? read) =>
        {
            read = bool.TryParse(text, out var value) ? value : null;
            return read is not null;
        });

    private static readonly Setting<TimeSpan> Silence = Setting.Duration(
        "engine-silence", "How long a stream of the server may say nothing, before its first token too [default: 5m]",
        Defaults.SilenceTimeout, TimeSpan.FromHours(1), TimeSpan.FromSeconds(1));

    /// <summary>How long a server may be without any sign of life before it counts as frozen.</summary>
    public static Setting<TimeSpan> Patience { get; } = Setting.Duration(
        "engine-patience", "How long a server may leave its streams and the replica's questions without a sign of life [default: 2s]",
        new EngineHostOptions().EngineTimeout, TimeSpan.FromHours(1), TimeSpan.FromMilliseconds(300));

    /// <summary>All that are for servers alone: without <see cref="EngineSettings.Model"/>.</summary>
    public static IReadOnlyList<ISetting> All { get; } = [KeyFile, Kind, Fingerprint, BitExact, ChatCall, Silence, Patience];

    /// <param name="flag">Which one named the server.</param>
    /// <param name="server">Its URL.</param>
    /// <param name="sources">The settings.</param>
    /// <param name="slots">Generations at the same time; null: what the server says.</param>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    public static OpenAiEngineOptions Read(string flag, Uri server, SettingSources sources, int? slots)
    {
        var patience = Patience.Read(sources);
        var options = new OpenAiEngineOptions
        {
            BaseUrl = server,
            Slots = slots,
            Model = EngineSettings.Model.Read(sources),
            ApiKey = ReadKey(sources),
            Kind = Kind.Read(sources),
            Fingerprint = Fingerprint.Read(sources),
            IsBitExact = BitExact.Read(sources),
            UsesChatCall = ChatCall.Read(sources),
            SilenceTimeout = Silence.Read(sources),
            // The replica's questions are calls: none may end before the patience does.
            CallTimeout = patience > Defaults.CallTimeout ? patience : Defaults.CallTimeout,
        };
        try
        {
            options.Validate();
        }
        catch (ArgumentException error)
        {
            throw new UsageException($"{flag} {server}: {error.Message}");
        }
        return options;
    }

    private static string? ReadKey(SettingSources sources)
    {
        if (KeyFile.Read(sources) is not { } path)
            return Environment.GetEnvironmentVariable(KeyVariable);
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--engine-key-file {path} cannot be read: {error.Message}");
        }
    }
}
