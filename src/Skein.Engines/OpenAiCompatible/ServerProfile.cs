using Skein.Engines.OpenAiCompatible.Metrics;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Everything that is particular to one kind of OpenAI-compatible server; the defaults are what most servers do. Immutable, thread-safe.</summary>
/// <remarks>To add a server, derive a profile and add it to <see cref="ServerProfiles"/>.</remarks>
internal abstract class ServerProfile
{
    private const int MostMetadataBytes = 4_096;

    /// <summary>Name in configuration, fingerprints and messages.</summary>
    public abstract string Name { get; }

    /// <summary>The reason why a server is not of this kind, for the message if it was declared to be.</summary>
    public virtual string Missing => "";

    /// <summary>
    /// Path of the server's readiness check, in addition to its list of models. It must not generate. Not asked again after a 404. Default (null): none.
    /// </summary>
    public virtual string? HealthPath => null;

    /// <summary>Where the server reports its load: asked in this order, and not again after a 404. Default: nowhere.</summary>
    public virtual IReadOnlyList<LoadSource> LoadSources => [];

    /// <summary>
    /// Whether its chat call returns the ids of prompt and answer: then it begins every chat, whatever it does beside generating, and ids only continue it.
    /// </summary>
    public virtual bool ReturnsChatIds => false;

    /// <summary>Whether its parser of reasoning drops white space behind the marks and at the beginning of an answer.</summary>
    public virtual bool TrimsReasoning => false;

    /// <summary>Whether its chat call may continue an answer inside a format, such as a JSON schema, from its text. Default: the format begins anew.</summary>
    public virtual bool MayContinueFormats => false;

    /// <summary>Whether its chat call binds tool calls to a grammar, which a continuation by ids lacks. Default: false.</summary>
    public virtual bool BindsCalls => false;

    /// <summary>Whether a seed gives the same answer each time that it is generated from its beginning. Default: not known.</summary>
    public virtual bool ObeysSeeds => false;

    /// <summary>Whether penalties also count the tokens of the prompt. If not, a resumed answer, now part of the prompt, is penalized differently.</summary>
    public virtual bool PenalizesPrompt => false;

    /// <summary>Finds out whether the server is of this kind, and what it serves. Changes nothing on the server, and generates nothing.</summary>
    /// <param name="isDeclared">Whether it is known to be of this kind: then one sign is enough. Otherwise two must agree.</param>
    /// <returns>Null if the server is of another kind.</returns>
    /// <exception cref="FaultException">The server cannot be asked.</exception>
    public abstract ValueTask<ServerFacts?> ProbeAsync(EngineHttp http, bool isDeclared, CancellationToken cancellationToken);

    /// <summary>Whether a model generates text. Generates nothing.</summary>
    public virtual ValueTask<bool> IsGeneratingAsync(EngineHttp http, ModelFacts model, CancellationToken cancellationToken) =>
        ValueTask.FromResult(model.IsGenerating);

    /// <summary>
    /// Names of the models that are in memory now: generating with another one loads it, which may take minutes and other models' place. Null: the server
    /// does not say. Default: all.
    /// </summary>
    public virtual ValueTask<IReadOnlyList<string>?> LoadedModelsAsync(
        EngineHttp http, IReadOnlyList<ModelFacts> models, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<string>?>([.. models.Select(model => model.Name)]);

    /// <summary>Whether two names mean the same model of the server.</summary>
    public virtual bool IsSameModel(string name, string other) => name == other;

    /// <summary>Further names under which the server answers for a model that it lists. Default: none.</summary>
    public virtual IEnumerable<string> FurtherNames(string name) => [];

    /// <summary>Its calls for token ids. Default (null): it has none.</summary>
    /// <param name="cacheDirectory">Where files may be kept over restarts; null: in the user's cache directory.</param>
    /// <exception cref="FaultException">The server does not answer these calls as expected.</exception>
    public virtual ValueTask<ITokenDialect?> ConnectTokensAsync(
        EngineHttp http, IReadOnlyList<ModelFacts> models, string? cacheDirectory, CancellationToken cancellationToken) =>
        ValueTask.FromResult<ITokenDialect?>(null);

    /// <summary>Whether its calls for token ids serve this request.</summary>
    public virtual bool TakesTokens(GenerateRequest request) => true;

    /// <summary>Whether its completion call gives the log probabilities of an echoed prompt.</summary>
    public virtual bool EchoesLogprobs => false;

    /// <summary>Whether the server streams no answer to this request. Default: log probabilities of the prompt, by <see cref="EchoesLogprobs"/>.</summary>
    public virtual bool NeedsWholeAnswer(GenerateRequest request) => EchoesLogprobs && request is { Echo: true, HasLogprobs: true };

    /// <summary>
    /// Whether its own calls answer a request of which the client wants the whole answer otherwise than in a stream: then they are asked for the whole.
    /// Default: false.
    /// </summary>
    public virtual bool TellsMoreInWhole(GenerateRequest request) => false;

    /// <summary>Refuses requests that the server's calls would answer wrongly without an error.</summary>
    /// <exception cref="FaultException">The request uses a member that the server ignores.</exception>
    public virtual void Check(GenerateRequest request)
    {
    }

    public virtual RequestJson WriteSampling(RequestJson body, Sampling? sampling) => body.OpenAiSampling(sampling);

    /// <summary>
    /// Whether its chat call continues a last message of the assistant that the client sent: what was delivered is then a part of the same message. Default:
    /// not known.
    /// </summary>
    public virtual bool ContinuesLastMessage(GenerateRequest request) => false;

    /// <summary>Whether its completion call takes the prompt as a message of the user: a lost completion is then continued as a chat. Default: false.</summary>
    public virtual bool CompletesAsChat => false;

    /// <summary>Whether it ends answers at stop texts itself: then they are looked for only where an answer is continued. Default: false.</summary>
    public virtual bool MatchesStops => false;

    /// <summary>Whether an answer is made again, not continued, because the client asks what the server tells of one call. Default: false.</summary>
    public virtual bool IsMadeAgain(GenerateRequest request) => false;

    /// <summary>Asks the chat call to continue the last message. By default a last message of the assistant is enough.</summary>
    public virtual RequestJson WriteContinuation(RequestJson body) => body;

    /// <summary>The facts of a server that reports only its models and a version.</summary>
    protected static async ValueTask<ServerFacts> ReadModelsAsync(EngineHttp http, string identity, int? slots, CancellationToken cancellationToken) =>
        new([.. (await http.ListModelsAsync(cancellationToken)).Select(model => new ModelFacts(
            model.Text("id")!,
            model.Whole("max_model_len") ?? 0,
            model.Member("meta")?.Whole("n_vocab") ?? 0,
            $"{identity}\n{model.Text("id")}\n{model.Text("root")}\n{model.Text("owned_by")}",
            MetadataOf(model)))], slots);

    /// <summary>What a server's list says of a model beside its name; empty: nothing. Permissions change with each list.</summary>
    protected static ByteString MetadataOf(JsonElement model) =>
        RawMembers.Except(model, model.Whole("created") > 0 ? ["id", "object", "permission"] : ["id", "object", "permission", "created"])
            is { Length: <= MostMetadataBytes } members
            ? ByteString.CopyFrom(members.Span)
            : ByteString.Empty;

    /// <summary>Whether the server lists a model of this owner: most servers name themselves there.</summary>
    protected static async ValueTask<bool> OwnsModelsAsync(EngineHttp http, string owner, CancellationToken cancellationToken) =>
        (await http.ListModelsAsync(cancellationToken)).Any(model => model.Text("owned_by") == owner);
}

/// <summary>What a server reports of itself.</summary>
/// <param name="Models">At least one.</param>
/// <param name="Slots">Requests it runs at the same time; null: unknown.</param>
/// <param name="MentionsReasoning">Whether the model's chat template, if it is shown, mentions reasoning.</param>
internal sealed record ServerFacts(IReadOnlyList<ModelFacts> Models, int? Slots, bool MentionsReasoning = false);

/// <summary>What a server reports of one model.</summary>
/// <param name="ContextTokens">Context length of one request, in tokens; 0 if unknown.</param>
/// <param name="VocabularySize">Number of tokens; 0 if unknown.</param>
/// <param name="Identity">Everything reported that distinguishes the model from others, in a fixed order.</param>
/// <param name="Metadata">Its other members in the server's list, a JSON object of at most 4,096 bytes; empty: none.</param>
/// <param name="IsGenerating">False if the server reports that it generates no text.</param>
internal sealed record ModelFacts(string Name, int ContextTokens, int VocabularySize, string Identity, ByteString Metadata, bool IsGenerating = true)
{
    /// <summary>See <see cref="Tokens.ITokenDialect.SystemFingerprint"/>.</summary>
    public string SystemFingerprint { get; init; } = "";
}
