using System.Security.Cryptography;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>
/// The models of one server, as it lists them now. A model that stays keeps what was found out about it; a new one is tried with a short answer, which
/// shows whether it returns token ids. One task calls <see cref="UpdateAsync"/>; any thread may read.
/// </summary>
internal sealed class ModelDirectory(EngineHttp http, ServerProfile profile, OpenAiEngineOptions options)
{
    // Part of every fingerprint. Raise it when answers are read or resumed differently.
    private const string AdapterVersion = "skein-openai-1";

    private ITokenDialect? _dialect;
    private volatile IReadOnlyList<ServerModel> _models = [];

    /// <summary>At least one after the first update.</summary>
    public IReadOnlyList<ServerModel> Models => _models;

    /// <summary>Whether a model could not be tried yet.</summary>
    public bool HasUnproven => _models.Any(model => !model.IsProven);

    /// <summary>The model with this name; null if it is not served.</summary>
    public ServerModel? Find(string name)
    {
        var models = _models;
        return name.Length == 0 && models.Count == 1 ? models[0] : models.FirstOrDefault(model => model.Names.Contains(name, StringComparer.Ordinal));
    }

    /// <summary>Whether at least one of the models that a server lists is to be served.</summary>
    public bool IsAnyWanted(IEnumerable<string> listed) =>
        options.Model is not { } wanted ? listed.Any() : listed.Any(name => profile.IsSameModel(name, wanted));

    /// <summary>Takes over a new list.</summary>
    /// <param name="takeSlot">Takes a slot for calls that generate; null if there is none. What cannot be tried now is tried in a later update.</param>
    /// <param name="tries">Ends the calls that generate, but not the update: what was not tried by then is tried in a later update.</param>
    /// <param name="cancellationToken">Ends the update without a change.</param>
    /// <returns>Whether anything that is served changed.</returns>
    /// <exception cref="FaultException">None of the listed models is to be served, or the server is gone.</exception>
    public async ValueTask<bool> UpdateAsync(
        ServerFacts facts, Func<IDisposable?> takeSlot, CancellationToken tries, CancellationToken cancellationToken)
    {
        var wanted = facts.Models.Where(model => options.Model is not { } name || profile.IsSameModel(model.Name, name)).ToList();
        if (wanted.Count == 0)
        {
            throw new FaultException(
                Fault.ModelNotFound,
                $"{http.Name} does not serve the model '{options.Model}'; it serves: {string.Join(", ", facts.Models.Select(model => model.Name))}");
        }

        if (options.Aliases.Count > 0 && wanted.Count > 1)
            throw new ArgumentException($"Aliases need one model, and {http.Name} serves {wanted.Count}; name it with Model");

        using var either = CancellationTokenSource.CreateLinkedTokenSource(tries, cancellationToken);
        var before = _models;
        var models = new List<ServerModel>(wanted.Count);
        foreach (var model in wanted)
        {
            var known = before.FirstOrDefault(known => known.Facts with { Metadata = model.Metadata } == model);
            models.Add(known is { IsProven: true } ? known.With(model) : await DescribeAsync(model, facts, known, takeSlot, either.Token));
        }

        cancellationToken.ThrowIfCancellationRequested();
        _models = models;
        return !before.SelectMany(model => model.Descriptions).SequenceEqual(models.SelectMany(model => model.Descriptions));
    }

    private async ValueTask<ServerModel> DescribeAsync(
        ModelFacts model, ServerFacts facts, ServerModel? known, Func<IDisposable?> takeSlot, CancellationToken cancellationToken)
    {
        using var slot = cancellationToken.IsCancellationRequested ? null : takeSlot();
        if (slot is null)
            return known ?? Of(model, facts, canary: null, isGenerating: model.IsGenerating, isProven: false);

        try
        {
            if (!await profile.IsGeneratingAsync(http, model, cancellationToken))
                return Of(model, facts, canary: null, isGenerating: false, isProven: true);

            _dialect ??= await profile.ConnectTokensAsync(http, facts.Models, options.CacheDirectory, cancellationToken);
            var canary = _dialect is null ? null : await _dialect.CanaryAsync(model.Name, cancellationToken);
            return Of(model, facts, canary, isGenerating: true, isProven: true);
        }
        catch (FaultException refusal) when (IsRefusal(refusal))
        {
            // The calls for token ids do not serve this model. Its chat call may, unless it makes embeddings only.
            var isGenerating = await TryChatAsync(model.Name, cancellationToken);
            return Of(model, facts, canary: null, isGenerating ?? true, isProven: isGenerating is not null);
        }
        catch (Exception late) when (IsLate(late, cancellationToken))
        {
            return known ?? Of(model, facts, canary: null, isGenerating: true, isProven: false);
        }
    }

    /// <summary>Whether the model answers a chat; null: the server is too busy to say.</summary>
    private async ValueTask<bool?> TryChatAsync(string model, CancellationToken cancellationToken)
    {
        var body = new RequestJson().Text("model", model).Raw("messages", """[{"role":"user","content":"Hi"}]"""u8).Whole("max_tokens", 1);
        try
        {
            await http.AskAsync("v1/chat/completions", body.ToBytes(), cancellationToken);
            return true;
        }
        catch (FaultException refusal) when (IsRefusal(refusal))
        {
            return false;
        }
        catch (Exception late) when (IsLate(late, cancellationToken))
        {
            return null;
        }
    }

    private static bool IsRefusal(FaultException exception) =>
        EngineErrors.IsMissingCall(exception) || exception.Fault is Fault.InvalidRequest or Fault.ModelNotFound or Fault.ContextLengthExceeded;

    // Too busy now, or slower than the caller waits: it is tried again.
    private static bool IsLate(Exception exception, CancellationToken cancelled) => exception is FaultException fault
        ? fault.Fault is Fault.EngineBusy or Fault.EngineFailed or Fault.EngineTimedOut
        : exception is OperationCanceledException && cancelled.IsCancellationRequested;

    private ServerModel Of(ModelFacts model, ServerFacts facts, uint[]? canary, bool isGenerating, bool isProven)
    {
        var hasTokens = canary is not null;
        var description = new ModelDescription
        {
            Name = model.Name,
            Fingerprint = options.Fingerprint ?? FingerprintOf(model, canary ?? []),
            ContextTokens = (uint)Math.Max(0, model.ContextTokens),
            ResumeTier = !isGenerating ? ResumeTier.None : !hasTokens ? ResumeTier.Text : options.IsBitExact ? ResumeTier.Exact : ResumeTier.Tokens,
            Unit = hasTokens ? TokenUnit.Token : TokenUnit.Chunk,
            Chat = isGenerating,
            NoGeneration = !isGenerating,
            Metadata = model.Metadata,
        };
        return new ServerModel(
            model, description, [.. profile.FurtherNames(model.Name).Concat(options.Aliases).Distinct(StringComparer.Ordinal)],
            new ResumeTiers(profile, hasTokens, options.UsesChatCall ?? facts.MentionsReasoning, options.IsBitExact),
            hasTokens ? new TokenGeneration(_dialect!) : null, isGenerating, isProven);
    }

    // A hash over what the server reports and answers. docs/reference/engines.md explains what it proves.
    private string FingerprintOf(ModelFacts model, IEnumerable<uint> canary)
    {
        var identity = string.Join('\n', AdapterVersion, profile.Name, model.Name, model.Identity, string.Join(',', canary));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(identity)).AsSpan(0, 16));
    }
}
