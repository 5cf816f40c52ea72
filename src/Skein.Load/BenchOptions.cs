
namespace Skein.Load;

/// <summary>Options of a benchmark. Immutable; validated by <see cref="Bench.RunAsync"/>.</summary>
public sealed record BenchOptions
{
    /// <summary>Request members that the benchmark sets itself; not allowed in <see cref="Extra"/>.</summary>
    public static IReadOnlyList<string> OwnMembers { get; } = ["model", "messages", "max_tokens", "temperature", "seed", "stream", "stream_options"];

    /// <summary>
    /// Server under test. <c>http</c> and <c>https</c>: an OpenAI-compatible server, with or without the path <c>/v1</c>, through streamed chat
    /// completions. <c>grpc</c> and <c>grpcs</c>: a Skein gateway or replica, through <c>Generate</c>.
    /// </summary>
    public required Uri Target { get; init; }

    /// <summary>Requested model. Empty (the default): the first model that the server lists.</summary>
    public string Model { get; init; } = "";

    /// <summary>Concurrent requests, in a closed loop. 1 to 20,000; default 16.</summary>
    public int Concurrency { get; init; } = 16;

    /// <summary>Measured requests. 1 to 100,000,000; default 200.</summary>
    public int Requests { get; init; } = 200;

    /// <summary>Requests before the measured ones, not counting reference answers. 0 to 1,000,000; default 0.</summary>
    public int WarmUpRequests { get; init; }

    /// <summary>Prompts, used in turn. 1 to 10,000; default: <see cref="BenchPrompts.Create"/> of 8.</summary>
    public IReadOnlyList<string> Prompts { get; init; } = BenchPrompts.Create(8);

    /// <summary>Maximum answer length in tokens. 1 to 1,000,000; default 64.</summary>
    public int MaxTokens { get; init; } = 64;

    /// <summary>Temperature, 0 to 2. 0 (the default) is greedy.</summary>
    public float Temperature { get; init; }

    /// <summary>Seed of every request. Default 1.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Additional members of every request, such as faults for simulated engines or options of one server. Default: none.</summary>
    public IReadOnlyDictionary<string, JsonElement> Extra { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>
    /// True (the default): all answers to a prompt must be the same text. Set false for servers that reproduce neither greedy nor
    /// seeded answers.
    /// </summary>
    public bool CheckExactness { get; init; } = true;

    /// <summary>Timeout of one request. 1 ms to 1 day; default 2 minutes.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>API key to send. Null (the default): none.</summary>
    public string? Key { get; init; }

    /// <summary>Null (the default): the authorities of the system are trusted, and no certificate is shown.</summary>
    public ClientTls? Tls { get; init; }

    internal void Validate()
    {
        var isKnown = Target is { IsAbsoluteUri: true, Scheme: "http" or "https" or "grpc" or "grpcs" };
        OptionGuard.Require(isKnown, nameof(Target), Target, "http, https, grpc and grpcs URLs");
        OptionGuard.Range(Concurrency, 1, 20_000, nameof(Concurrency));
        OptionGuard.Range(Requests, 1, 100_000_000, nameof(Requests));
        OptionGuard.Range(WarmUpRequests, 0, 1_000_000, nameof(WarmUpRequests));
        OptionGuard.Range(Prompts.Count, 1, 10_000, nameof(Prompts));
        OptionGuard.Range(MaxTokens, 1, 1_000_000, nameof(MaxTokens));
        OptionGuard.Range(Temperature, 0, 2, nameof(Temperature));
        var twice = Extra.Keys.FirstOrDefault(OwnMembers.Contains);
        OptionGuard.Require(twice is null, nameof(Extra), twice, $"all members but {string.Join(", ", OwnMembers)}");
        OptionGuard.Range(RequestTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromDays(1), nameof(RequestTimeout));
    }
}

/// <summary>Prompts for benchmarks: short, distinct and the same in every run.</summary>
public static class BenchPrompts
{
    private static readonly string[] Heroes =
        ["turtle", "clockmaker", "fox", "lighthouse keeper", "robot", "baker", "sparrow", "pirate", "giant", "witch"];

    private static readonly string[] Things =
        ["a red balloon", "a lost letter", "a silver key", "an old map", "a talking well", "a paper boat", "a jar of stars"];

    public static IReadOnlyList<string> Create(int count) => [.. Enumerable.Range(0, count).Select(Prompt)];

    private static string Prompt(int i)
    {
        var round = i / (Heroes.Length * Things.Length);
        var number = round == 0 ? "" : $" Number it {round}.";
        return $"Tell me a story about a {Heroes[i % Heroes.Length]} and {Things[i % Things.Length]}.{number}";
    }
}
