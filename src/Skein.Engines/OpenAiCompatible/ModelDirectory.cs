using System.Collections.Concurrent;
using System.Security.Cryptography;
using Skein.Engines.OpenAiCompatible.Proofs;
using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Tools;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>
/// The models of one server, as it lists them now. A model that stays keeps what was found out about it; a new one is tried with short answers, which show
/// whether it returns token ids, and how it continues answers. One task calls <see cref="UpdateAsync"/>; any thread may use the other members.
/// </summary>
internal sealed class ModelDirectory(EngineHttp http, ServerProfile profile, OpenAiEngineOptions options, TextGeneration texts, TimeProvider time)
{
    // Part of every fingerprint. Raise it when answers are read or resumed differently.
    private const string AdapterVersion = "skein-openai-1";

    private const string SampleFormat =
        """{"type":"json_schema","json_schema":{"name":"tale","schema":{"type":"object","properties":{"tale":{"type":"string"}}}}}""";

    private readonly ConcurrentDictionary<string, bool> _answered = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TryPause> _pauses = new(StringComparer.Ordinal);
    private ITokenDialect? _dialect;
    private volatile List<ServerModel> _models = [];

    /// <summary>At least one after the first update.</summary>
    public IReadOnlyList<ServerModel> Models => _models;

    /// <summary>Whether a model could not be tried yet.</summary>
    public bool HasUntried => _models.Any(model => !model.IsTried);

    /// <summary>The model with this name; null if it is not served.</summary>
    public ServerModel? Find(string name)
    {
        var models = _models;
        return name.Length == 0 && models.Count == 1 ? models[0] : models.FirstOrDefault(model => model.Names.Contains(name, StringComparer.Ordinal));
    }

    /// <summary>Whether at least one of the models that a server lists is to be served.</summary>
    public bool IsAnyWanted(IEnumerable<string> listed) =>
        options.Model is not { } wanted ? listed.Any() : listed.Any(name => profile.IsSameModel(name, wanted));

    /// <summary>Notes that a model answered a request: it is loaded.</summary>
    /// <returns>Whether it can now be tried.</returns>
    public bool NoteAnswer(ServerModel model) => !model.IsTried && _answered.TryAdd(model.Facts.Name, true);

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
            models.Add(known is { IsTried: true } ? known.With(model) : known ?? Of(model, facts, ModelTrial.None));
        }

        if (models.Any(model => !model.IsTried))
        {
            var loaded = await profile.LoadedModelsAsync(http, wanted, cancellationToken);
            for (var i = 0; i < models.Count; i++)
            {
                if (!models[i].IsTried && IsLoaded(models[i].Facts.Name, loaded, wanted.Count))
                    models[i] = await TryAsync(models[i], facts, takeSlot, either.Token);
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
        _models = models;
        return !before.SelectMany(model => model.Descriptions).SequenceEqual(models.SelectMany(model => model.Descriptions));
    }

    private bool IsLoaded(string model, IReadOnlyList<string>? loaded, int listed) =>
        loaded is null ? listed == 1 || _answered.ContainsKey(model) : loaded.Any(name => profile.IsSameModel(name, model));

    private async ValueTask<ServerModel> TryAsync(ServerModel known, ServerFacts facts, Func<IDisposable?> takeSlot, CancellationToken cancellationToken)
    {
        var name = known.Facts.Name;
        if (!_pauses.TryGetValue(name, out var pause))
            _pauses[name] = pause = new TryPause(time);

        using var slot = cancellationToken.IsCancellationRequested || !pause.IsOver ? null : takeSlot();
        if (slot is null)
            return known;

        using var deadline = new CancellationTokenSource(TryPause.TryTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var tried = await DescribeAsync(known, facts, either.Token);
        // What the start could not try is tried again at once.
        if (tried.IsTried)
            _pauses.Remove(name);
        else if (_models.Count > 0)
            pause.Begin();

        return tried;
    }

    private async ValueTask<ServerModel> DescribeAsync(ServerModel known, ServerFacts facts, CancellationToken cancellationToken)
    {
        var model = known.Facts;
        try
        {
            if (!await profile.IsGeneratingAsync(http, model, cancellationToken))
                return Of(model, facts, new ModelTrial(null, ModelProofs.Pending, IsGenerating: false, IsTried: true));

            _dialect ??= await profile.ConnectTokensAsync(http, facts.Models, options.CacheDirectory, cancellationToken);
            var canary = _dialect is null ? null : await _dialect.CanaryAsync(model.Name, cancellationToken);
            return await ProveAsync(model, facts, canary, cancellationToken);
        }
        catch (FaultException refusal) when (ContinuationProver.IsRefusal(refusal))
        {
            // The calls for token ids do not serve this model. Its chat call may, unless it makes embeddings only.
            return await TryChatAsync(model.Name, cancellationToken) switch
            {
                true => await ProveAsync(model, facts, canary: null, cancellationToken),
                false => Of(model, facts, new ModelTrial(null, ModelProofs.Pending, IsGenerating: false, IsTried: true)),
                null => known,
            };
        }
        catch (Exception late) when (IsLate(late, cancellationToken))
        {
            return known;
        }
    }

    /// <summary>Finds out how answers of the model can be continued. A server that fails meanwhile is tried again later; it is served all the same.</summary>
    private async ValueTask<ServerModel> ProveAsync(ModelFacts model, ServerFacts facts, uint[]? canary, CancellationToken cancellationToken)
    {
        var untried = Of(model, facts, new ModelTrial(canary, ModelProofs.Pending, IsGenerating: true, IsTried: false));
        var description = untried.Description;
        try
        {
            var reasoning = canary is null ? NoReasoning : await ReasoningOfAsync(model, facts, cancellationToken);
            var marks = canary is null ? null : await ToolCallMarksOfAsync(model, cancellationToken);
            var tokens = canary is null ? null : new TokenGeneration(_dialect!, reasoning ?? NoReasoning, marks);
            var noIds = ContinuationProof.Not("it returns no token ids");
            var proofs = new ModelProofs(
                tokens is null ? noIds : await ContinuationProver.ProveAsync(isChat: false, model.Name, ByIds),
                tokens is null ? noIds
                    : reasoning is null ? ContinuationProof.Not("its chat template has a reasoning whose marks are not found")
                    : profile.ReturnsChatIds ? await ContinuationProver.ProveAsync(isChat: true, model.Name, ByChatThenIds, takesReasoning: true)
                    : await ContinuationProver.ProveAsync(isChat: true, model.Name, ByIds, takesReasoning: true, ByText),
                await ContinuationProver.ProveAsync(isChat: true, model.Name, ByText),
                await ContinuationProver.ProveAsync(isChat: false, model.Name, ByText));
            proofs = proofs with
            {
                ReadsCalls = marks?.Form is not null,
                Tools = !proofs.ChatIds.IsProven || _dialect!.ChatTokens is null ? ContinuationProof.Not("its chat call tells no token ids")
                    : marks is null ? ContinuationProof.Not("its chat template does not show how a tool call begins")
                    : await ContinuationProver.ProveAsync(isChat: true, model.Name, ByChatThenIds, takesReasoning: true, ask: OfferTool),
                Formats = !profile.MayContinueFormats || !proofs.Chat.IsProven ? ContinuationProof.Not("a format begins anew")
                    : await ContinuationProver.ProveAsync(isChat: true, model.Name, ByText, ask: AskForFormat),
            };
            return Of(
                model, facts, new ModelTrial(canary, proofs, IsGenerating: true, IsTried: true) { Reasoning = reasoning ?? NoReasoning, Marks = marks });

            IAsyncEnumerable<GenerateFrame> ByIds(GenerateRequest request) => tokens!.RunAsync(request, description, ResumeTier.Tokens, cancellationToken);

            IAsyncEnumerable<GenerateFrame> ByChatThenIds(GenerateRequest request) => request.Resume is null
                ? texts.RunWithIdsAsync(request, description, ResumeTier.Tokens, _dialect!.ChatTokens!, cancellationToken)
                : ByIds(request);

            static void AskForFormat(GenerateRequest request) => request.Chat.ResponseFormat = ByteString.CopyFromUtf8(SampleFormat);

            static void OfferTool(GenerateRequest request) => request.Chat.Tools = ByteString.CopyFrom(ToolCallMarks.SampleTools);
        }
        catch (Exception failed) when (failed is FaultException || (failed is OperationCanceledException && cancellationToken.IsCancellationRequested))
        {
            return untried;
        }

        IAsyncEnumerable<GenerateFrame> ByText(GenerateRequest request) => texts.RunAsync(request, description, ResumeTier.Text, cancellationToken);
    }

    private ChatReasoning NoReasoning => new(Form: null, profile.TrimsReasoning, profile.ReturnsChatIds);

    /// <summary>How chats of the model are divided; null: the model reasons, and it is not known how.</summary>
    private async ValueTask<ChatReasoning?> ReasoningOfAsync(ModelFacts model, ServerFacts facts, CancellationToken cancellationToken)
    {
        try
        {
            var form = await _dialect!.ReasoningFormAsync(model.Name, cancellationToken);
            return form is null && facts.MentionsReasoning ? null : NoReasoning with { Form = form };
        }
        catch (FaultException refusal) when (ContinuationProver.IsRefusal(refusal))
        {
            // The template refuses such a chat, or the marks are no text.
            return facts.MentionsReasoning ? null : NoReasoning;
        }
    }

    /// <summary>How tool calls of the model begin; null: it is not known.</summary>
    private async ValueTask<ToolCallMarks?> ToolCallMarksOfAsync(ModelFacts model, CancellationToken cancellationToken)
    {
        try
        {
            return await _dialect!.ToolCallMarksAsync(model.Name, cancellationToken);
        }
        catch (FaultException refusal) when (ContinuationProver.IsRefusal(refusal) || refusal.Fault == Fault.EngineFailed)
        {
            // The template refuses such a chat: some servers answer that with 500.
            return null;
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
        catch (FaultException refusal) when (ContinuationProver.IsRefusal(refusal))
        {
            return false;
        }
        catch (Exception late) when (IsLate(late, cancellationToken))
        {
            return null;
        }
    }

    // Too busy now, or slower than the caller waits: it is tried again.
    private static bool IsLate(Exception exception, CancellationToken cancelled) => exception is FaultException fault
        ? fault.Fault is Fault.EngineBusy or Fault.EngineFailed or Fault.EngineTimedOut
        : exception is OperationCanceledException && cancelled.IsCancellationRequested;

    private ServerModel Of(ModelFacts model, ServerFacts facts, ModelTrial trial)
    {
        var tiers = new ResumeTiers(profile, trial.Proofs, options.UsesChatCall, options.IsBitExact);
        var isGenerating = trial.IsGenerating;
        var description = new ModelDescription
        {
            Name = model.Name,
            Fingerprint = options.Fingerprint ?? FingerprintOf(model, trial.Canary ?? []),
            ContextTokens = (uint)Math.Max(0, model.ContextTokens),
            ResumeTier = isGenerating ? tiers.Best : ResumeTier.None,
            ResumeReason = isGenerating ? tiers.Reason : "",
            Unit = trial.Proofs.Ids.IsProven || trial.Proofs.ChatIds.IsProven ? TokenUnit.Token : TokenUnit.Chunk,
            Chat = isGenerating,
            NoGeneration = !isGenerating,
            Metadata = model.Metadata,
        };
        return new ServerModel(
            model, description, [.. profile.FurtherNames(model.Name).Concat(options.Aliases).Distinct(StringComparer.Ordinal)],
            tiers, trial.Canary is null ? null : new TokenGeneration(_dialect!, trial.Reasoning ?? NoReasoning, trial.Marks), isGenerating, trial.IsTried);
    }

    // A hash over what the server reports and answers. docs/reference/engines.md explains what it proves.
    private string FingerprintOf(ModelFacts model, IEnumerable<uint> canary)
    {
        var identity = string.Join('\n', AdapterVersion, profile.Name, model.Name, model.Identity, string.Join(',', canary));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(identity)).AsSpan(0, 16));
    }

    /// <summary>What trying a model showed.</summary>
    /// <param name="Canary">Ids of the answer to the <see cref="EngineCanary"/>; null: it returns no ids.</param>
    private sealed record ModelTrial(uint[]? Canary, ModelProofs Proofs, bool IsGenerating, bool IsTried)
    {
        /// <summary>How chats are divided into reasoning and content; null: not known yet.</summary>
        public ChatReasoning? Reasoning { get; init; }

        /// <summary>How tool calls begin; null: it is not known.</summary>
        public ToolCallMarks? Marks { get; init; }

        public static ModelTrial None { get; } = new(null, ModelProofs.Pending, IsGenerating: true, IsTried: false);
    }
}
