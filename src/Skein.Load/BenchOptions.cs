using System.Text.Json;

namespace Skein.Load;

/// <summary>What a benchmark asks of whom. Immutable; checked by <see cref="Bench.RunAsync"/>.</summary>
public sealed record BenchOptions
{
    /// <summary>Members of a request that are the bench's own, and cannot be in <see cref="Extra"/>.</summary>
    public static IReadOnlyList<string> OwnMembers { get; } = ["model", "messages", "max_tokens", "temperature", "seed", "stream", "stream_options"];

    /// <summary>
    /// Who is asked. <c>http</c> and <c>https</c>: an OpenAI-compatible server, with or without the path <c>/v1</c>, by streamed chat
    /// completions. <c>grpc</c> and <c>grpcs</c>: a Skein gateway or replica, by <c>Generate</c>.
    /// </summary>
    public required Uri Target { get; init; }

    /// <summary>Model to ask for. Empty (the default): the first one the server lists.</summary>
    public string Model { get; init; } = "";

    /// <summary>Sent as bearer token; null (the default): none.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Requests that run at the same time: as one ends the next begins (closed loop). 1 to 20,000; default 16.</summary>
    public int Concurrency { get; init; } = 16;

    /// <summary>Requests that are measured. 1 to 100,000,000; default 200.</summary>
    public int Requests { get; init; } = 200;

    /// <summary>Requests before them that are not measured, the reference answers not counted. 0 to 1,000,000; default 0.</summary>
    public int WarmUpRequests { get; init; }

    /// <summary>Prompts that are asked in turn. 1 to 10,000; default: <see cref="BenchPrompts.Create"/> of 8.</summary>
    public IReadOnlyList<string> Prompts { get; init; } = BenchPrompts.Create(8);

    /// <summary>Length of an answer, in tokens. 1 to 1,000,000; default 64.</summary>
    public int MaxTokens { get; init; } = 64;

    /// <summary>Temperature, 0 to 2. 0 (the default) is greedy.</summary>
    public float Temperature { get; init; }

    /// <summary>Seed of every request. Default 1.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>
    /// Members that every request carries besides those of these options, such as faults for simulated engines or what only some engines know.
    /// Default: none.
    /// </summary>
    public IReadOnlyDictionary<string, JsonElement> Extra { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>
    /// Whether all answers to a prompt must be the same text. Default true; to be switched off for servers that keep neither greedy nor
    /// seeded answers equal.
    /// </summary>
    public bool CheckExactness { get; init; } = true;

    /// <summary>A request that takes longer is given up and counted as an error. 1 ms to 1 day; default 2 minutes.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <exception cref="ArgumentException">A setting is out of its range; the message names it, its value and what is allowed.</exception>
    internal void Validate()
    {
        var isKnown = Target is { IsAbsoluteUri: true, Scheme: "http" or "https" or "grpc" or "grpcs" };
        Check(isKnown, nameof(Target), Target, "http, https, grpc and grpcs URLs");
        Check(Concurrency, 1, 20_000, nameof(Concurrency));
        Check(Requests, 1, 100_000_000, nameof(Requests));
        Check(WarmUpRequests, 0, 1_000_000, nameof(WarmUpRequests));
        Check(Prompts.Count, 1, 10_000, nameof(Prompts));
        Check(MaxTokens, 1, 1_000_000, nameof(MaxTokens));
        Check(Temperature, 0, 2, nameof(Temperature));
        var twice = Extra.Keys.FirstOrDefault(OwnMembers.Contains);
        Check(twice is null, nameof(Extra), twice, $"all members but {string.Join(", ", OwnMembers)}");
        Check(RequestTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromDays(1), nameof(RequestTimeout));
    }

    private static void Check<T>(T value, T least, T most, string name)
        where T : IComparable<T> =>
        Check(value.CompareTo(least) >= 0 && value.CompareTo(most) <= 0, name, value, FormattableString.Invariant($"{least} to {most}"));

    private static void Check<T>(bool isRight, string name, T value, string allowed)
    {
        if (!isRight)
        {
            throw new ArgumentException(FormattableString.Invariant($"{name} is {value}; allowed: {allowed}"), name);
        }
    }
}
