using System.Diagnostics;
using System.Net.Http;
using Skein.Cli.Settings;
using Skein.Engines;
using Skein.Engines.Embedded;
using Skein.Engines.OpenAiCompatible;

namespace Skein.Cli.Members;

/// <summary>Turns the settings of the engines into flags, and flags into an engine.</summary>
internal static class EngineSettings
{
    public const string Embedded = EmbeddedEngineFactory.Kind;

    private const string SecretFileSuffix = "_FILE";

    private static readonly OpenAiEngineFactory Servers = EngineFactories.All.OfType<OpenAiEngineFactory>().Single();
    private static readonly TimeSpan StartPause = TimeSpan.FromMilliseconds(250);
    private static readonly Dictionary<EngineSetting, ISetting> Flags =
        EngineFactories.All.SelectMany(factory => factory.Settings).Distinct().ToDictionary(setting => setting, ToFlag);

    public static string Help { get; } = $"Engine: {AnyOf(EngineFactories.All.Select(factory => factory.Help))} [default: {Embedded}]";

    public static string Allowed { get; } = AnyOf(EngineFactories.All.Select(factory => factory.Allowed));

    public static Setting<string> Engine { get; } = new("engine", "engine", Help, Allowed, Embedded, TryRead);

    public static IReadOnlyList<ISetting> Details { get; } = [.. Flags.Values];

    public static IReadOnlyList<ISetting> OfServers { get; } = [.. Servers.Settings.Select(setting => Flags[setting])];

    /// <summary>Whether a value of <c>--engine</c> is the URL of a server.</summary>
    public static bool IsServer(string engine) => Servers.Matches(engine);

    public static bool TryRead(string text, out string engine) => EngineFactories.Find(engine = text) is not null;

    /// <summary>How long an engine in another process may be silent before it counts as frozen.</summary>
    public static TimeSpan ReadEngineTimeout(SettingSources sources) =>
        ((Setting<TimeSpan>)Flags[EngineSetting.Timeout]).Read(sources);

    /// <summary>Refuses wrong settings before anything is started.</summary>
    public static void Check(SettingSources sources, string engine)
    {
        var factory = EngineFactories.Find(engine)!;
        foreach (var (setting, flag) in Flags)
        {
            if (!factory.Settings.Contains(setting) && flag.ReadIfSet(sources) is not (null or false))
            {
                var subjects = EngineFactories.All.Where(other => other.Settings.Contains(setting)).Select(other => other.Subject);
                throw new UsageException($"--{setting.Name} is for {string.Join(" and for ", subjects)}; allowed with --engine {engine}: nothing");
            }
        }

        Require($"--engine {engine}", () => factory.Check(Configure(factory, sources, engine, slots: null)));
    }

    public static async Task<IInferenceEngine> CreateAsync(SettingSources sources, int? slots, CancellationToken cancellationToken)
    {
        var engine = Engine.Read(sources);
        Check(sources, engine);
        var factory = EngineFactories.Find(engine)!;
        try
        {
            return await CreateAsync(factory, Configure(factory, sources, engine, slots), cancellationToken);
        }
        catch (ArgumentException error)
        {
            throw new UsageException($"--engine {engine}: {error.Message}");
        }
        catch (Exception error) when (error is EngineStartException or FaultException)
        {
            throw new CommandFailedException(error.Message, error);
        }
    }

    /// <summary>Creates the engine. Waits for a server that does not listen yet, still loads, or is overloaded: a sidecar starts with it.</summary>
    private static async Task<IInferenceEngine> CreateAsync(IEngineFactory factory, EngineConfiguration configuration, CancellationToken cancellationToken)
    {
        for (string? said = null; ; await Task.Delay(StartPause, TimeProvider.System, cancellationToken))
        {
            try
            {
                return await factory.CreateAsync(configuration, cancellationToken);
            }
            catch (FaultException notYet) when (IsNotUpYet(notYet))
            {
                if (notYet.Message != said)
                    await Console.Error.WriteLineAsync($"waiting for the engine: {said = notYet.Message}");
            }
        }
    }

    private static bool IsNotUpYet(FaultException failure) => failure.Fault switch
    {
        Fault.EngineBusy or Fault.ConnectionLost or Fault.EngineTimedOut => true,
        // A name that does not resolve, a wrong certificate or no HTTP at all: an operator must act first.
        Fault.Unreachable => failure.InnerException is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError },
        Fault.EngineFailed => failure.Engine is { Status: >= 500 },
        _ => false,
    };

    public static OpenAiEngineOptions ReadServer(string flag, Uri server, SettingSources sources, int? slots)
    {
        var options = OpenAiEngineFactory.Read(Configure(Servers, sources, server.AbsoluteUri, slots));
        Require($"{flag} {server}", options.Validate);
        return options;
    }

    private static void Require(string subject, Action check)
    {
        try
        {
            check();
        }
        catch (ArgumentException error)
        {
            throw new UsageException($"{subject}: {error.Message}");
        }
    }

    private static EngineConfiguration Configure(IEngineFactory factory, SettingSources sources, string engine, int? slots)
    {
        var values = new Dictionary<EngineSetting, object>();
        foreach (var setting in factory.Settings)
        {
            if (ValueOf(setting, sources) is { } value)
                values[setting] = value;
        }

        return new EngineConfiguration(engine, values)
        {
            Slots = slots,
            MemberName = EndpointSettings.GivenName(sources) ?? "",
            // A simulated crash ends the process at once, without leaving the group.
            Crash = () => Process.GetCurrentProcess().Kill(),
        };
    }

    private static ISetting ToFlag(EngineSetting setting) => setting.Kind switch
    {
        EngineSettingKind.Flag => Setting.Flag(setting.Name, setting.Description).Live(),
        EngineSettingKind.Number => Setting.OptionalReal(setting.Name, setting.Description, setting.Min, setting.Max).Live(),
        EngineSettingKind.Duration => DurationOf(setting, setting.Name).Formerly(setting.FormerName is { } former ? DurationOf(setting, former) : null).Live(),
        EngineSettingKind.SecretFile => Setting.Text(setting.Name, setting.ValueName, setting.Description).Live(),
        _ => new Setting<string?>(
            setting.Name, setting.ValueName, setting.Description, setting.Allowed, null,
            (string text, out string? read) => setting.IsAllowed(read = text)).Live(),
    };

    private static Setting<TimeSpan> DurationOf(EngineSetting setting, string name) =>
        Setting.Duration(
            name, setting.Description, TimeSpan.FromSeconds(setting.Default), TimeSpan.FromSeconds(setting.Max), TimeSpan.FromSeconds(setting.Min));

    private static object? ValueOf(EngineSetting setting, SettingSources sources)
    {
        var flag = Flags[setting];
        var value = flag.ReadIfSet(sources);
        if (setting.Kind != EngineSettingKind.SecretFile)
            return value;
        if (value is not string path)
            return Environment.GetEnvironmentVariable(flag.EnvironmentVariable[..^SecretFileSuffix.Length]);
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{flag.Option.Name} {path} cannot be read: {error.Message}");
        }
    }

    private static string AnyOf(IEnumerable<string> items)
    {
        var all = items.ToList();
        return $"{string.Join(", ", all[..^1])}, or {all[^1]}";
    }
}
