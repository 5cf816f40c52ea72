using Skein.Engines.OpenAiCompatible.Metrics;
using Skein.Engines.OpenAiCompatible.Probing;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.LlamaCpp;
using Skein.Engines.OpenAiCompatible.SgLang;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Vllm;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Connects to a server that speaks OpenAI's protocol: llama.cpp, vLLM, SGLang, Ollama or any other.</summary>
public static class OpenAiEngine
{
    /// <summary>Kind of the engine in configuration and metrics.</summary>
    public const string Kind = "openai";

    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Asks the server what it is and what it serves, and returns the engine, ready to serve. What was told is not asked again: a server that is
    /// restarted with another model needs another engine.
    /// </summary>
    /// <param name="options">Which server.</param>
    /// <param name="time">Clock of the bounds.</param>
    /// <param name="createHandler">Makes the connections; the engine disposes it. Default: sockets, without redirects and cookies.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="ArgumentException">An option is out of range, or missing where the server does not tell.</exception>
    /// <exception cref="EngineException">The server cannot be reached, or is not what it is said to be.</exception>
    public static async Task<IInferenceEngine> ConnectAsync(
        OpenAiEngineOptions options, TimeProvider time, Func<HttpMessageHandler>? createHandler = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        OptionChecks.Check(options);
        var http = new EngineHttp(options, createHandler?.Invoke() ?? CreateHandler(options), time);
        try
        {
            return await ConnectAsync(http, options, time, cancellationToken);
        }
        catch
        {
            http.Dispose();
            throw;
        }
    }

    private static async Task<IInferenceEngine> ConnectAsync(
        EngineHttp http, OpenAiEngineOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var facts = await ProbeAsync(http, options, time, cancellationToken);
        var served = options.Model is { } wanted ? [.. facts.Models.Where(model => model.Name == wanted)] : facts.Models;
        if (served.Count == 0)
        {
            throw new EngineException(
                EngineError.ModelNotFound,
                $"{http.Name} does not serve the model '{options.Model}'; it serves: {string.Join(", ", facts.Models.Select(model => model.Name))}");
        }

        var slots = options.Slots ?? facts.Slots ?? throw new ArgumentException(
            $"Slots is missing, and {http.Name} ({facts.Kind.ToWireName()}) does not tell how many requests it runs at the same time; set --slots, 1 to 10000 (for the upstream of a gateway --upstream-slots)");
        var models = new List<ModelDescription>();
        foreach (var model in served)
        {
            models.Add(await DescribeAsync(http, options, facts.Kind, model, cancellationToken));
        }

        var dialect = await DialectAsync(http, facts.Kind, served, cancellationToken);
        return new OpenAiInferenceEngine(
            new EngineDescription(models, slots),
            new Routes(facts.Kind, dialect is not null, options.UsesChatCall ?? facts.SpeaksOfReasoning, options.IsBitExact),
            dialect is null ? null : new TokenGeneration(dialect),
            new TextGeneration(http, facts.Kind),
            new LoadScraper(http, facts.Kind, time),
            http);
    }

    private static async ValueTask<EngineFacts> ProbeAsync(EngineHttp http, OpenAiEngineOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await EngineProbe.AskAsync(http, options.Kind, cancellationToken);
            }
            catch (EngineException exception) when (
                exception.Error is EngineError.Unreachable or EngineError.Lost or EngineError.TimedOut or EngineError.Failed && time.GetElapsedTime(start) < options.StartTimeout)
            {
                await Task.Delay(RetryInterval, time, cancellationToken);
            }
        }
    }

    private static async ValueTask<ModelDescription> DescribeAsync(
        EngineHttp http, OpenAiEngineOptions options, OpenAiEngineKind kind, ModelFacts model, CancellationToken cancellationToken)
    {
        var canary = kind switch
        {
            OpenAiEngineKind.LlamaCpp => await EngineCanary.LlamaAsync(http, cancellationToken),
            OpenAiEngineKind.Vllm => await EngineCanary.VllmAsync(http, model.Name, cancellationToken),
            OpenAiEngineKind.SgLang => await EngineCanary.SgLangAsync(http, cancellationToken),
            _ => null,
        };
        return new ModelDescription
        {
            Name = model.Name,
            Fingerprint = options.Fingerprint ?? Fingerprints.Of(kind, model, canary ?? []),
            ContextTokens = (uint)Math.Max(0, model.ContextTokens),
            ResumeTier = canary is null ? ResumeTier.Text : options.IsBitExact ? ResumeTier.Exact : ResumeTier.Tokens,
            Unit = canary is null ? TokenUnit.Chunk : TokenUnit.Token,
            Chat = true,
        };
    }

    private static async ValueTask<ITokenDialect?> DialectAsync(
        EngineHttp http, OpenAiEngineKind kind, IReadOnlyList<ModelFacts> models, CancellationToken cancellationToken) => kind switch
        {
            OpenAiEngineKind.LlamaCpp => new LlamaCppDialect(http, await LlamaCppVocabulary.ReadAsync(http, models[0].VocabularySize, cancellationToken)),
            OpenAiEngineKind.Vllm => new VllmDialect(http),
            OpenAiEngineKind.SgLang => new SgLangDialect(http),
            _ => null,
        };

    private static SocketsHttpHandler CreateHandler(OpenAiEngineOptions options) => new()
    {
        ConnectTimeout = options.ConnectTimeout,
        AllowAutoRedirect = false,
        UseCookies = false,
    };
}
