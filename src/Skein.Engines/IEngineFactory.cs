namespace Skein.Engines;

/// <summary>
/// A kind of engine: the form of its <c>--engine</c> value, its settings, and its creation. Implementations are stateless and thread-safe.
/// </summary>
/// <remarks>To add an engine, write a folder with a factory and add the factory to <see cref="EngineFactories"/>.</remarks>
public interface IEngineFactory
{
    /// <summary>Its part of the help of <c>--engine</c>, such as <c>simulated</c>.</summary>
    string Help { get; }

    /// <summary>Its allowed values of <c>--engine</c>, for error messages.</summary>
    string Allowed { get; }

    /// <summary>What has its settings, in words for error messages, such as <c>the simulated engine</c>.</summary>
    string Subject { get; }

    /// <summary>All its settings. Engines may share a setting; settings that are not listed are refused with this engine.</summary>
    IReadOnlyList<EngineSetting> Settings { get; }

    /// <summary>Whether a value of <c>--engine</c> means this engine.</summary>
    bool Matches(string engine);

    /// <summary>Checks everything that can be checked without starting anything.</summary>
    /// <exception cref="ArgumentException">A setting is wrong; the message names it, its value and what is allowed.</exception>
    void Check(EngineConfiguration configuration)
    {
    }

    /// <summary>Creates the engine, ready to serve.</summary>
    /// <exception cref="ArgumentException">A setting is wrong.</exception>
    /// <exception cref="EngineStartException">The engine cannot start.</exception>
    /// <exception cref="FaultException">The engine's process cannot be used.</exception>
    Task<IInferenceEngine> CreateAsync(EngineConfiguration configuration, CancellationToken cancellationToken);
}

/// <summary>An engine and the values of its settings. Immutable.</summary>
/// <param name="Engine">The value of <c>--engine</c>.</param>
/// <param name="Values">
/// The settings that are given: a <see cref="string"/> (text, or the content of a secret's file), <see cref="bool"/>, <see cref="double"/> or
/// <see cref="TimeSpan"/> each.
/// </param>
public sealed record EngineConfiguration(string Engine, IReadOnlyDictionary<EngineSetting, object> Values)
{
    /// <summary>Concurrent generations. Default (null): the engine's own number.</summary>
    public int? Slots { get; init; }

    /// <summary>Name of the member that hosts the engine. Default: none.</summary>
    public string MemberName { get; init; } = "";

    /// <summary>Ends the process at once, for simulated crashes. Default (null): a crash is an engine error.</summary>
    public Action? Crash { get; init; }

    /// <summary>The value of a setting, or the fallback where it is not given.</summary>
    public T Get<T>(EngineSetting setting, T fallback) => Values.TryGetValue(setting, out var value) ? (T)value : fallback;
}

/// <summary>An engine cannot start with its settings. The message is one line for the operator.</summary>
public class EngineStartException(string message, Exception? innerException = null) : Exception(message, innerException);
