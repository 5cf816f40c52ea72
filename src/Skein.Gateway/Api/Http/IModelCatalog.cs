namespace Skein.Gateway.Api.Http;

/// <summary>The models that this gateway serves. Implementations are thread-safe and answer from memory.</summary>
internal interface IModelCatalog
{
    /// <summary>One entry per model name, in a stable order.</summary>
    IReadOnlyList<ServedModel> List();

    /// <summary>Slots of all live replicas together, how many of them this gateway uses, and how many requests wait in its queue.</summary>
    LoadReport Load();
}

/// <summary>A model that the fleet serves. Immutable.</summary>
/// <param name="Description">The model as a replica describes it. Must not be changed.</param>
/// <param name="FirstSeen">When this gateway first saw it: <c>created</c> of <c>GET /v1/models</c>.</param>
internal sealed record ServedModel(ModelDescription Description, DateTimeOffset FirstSeen);
