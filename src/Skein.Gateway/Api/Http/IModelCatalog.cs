using Skein.Protocol.V1;

namespace Skein.Gateway.Api.Http;

/// <summary>The models that clients may ask this gateway for. Implementations are safe for concurrent calls and answer from memory.</summary>
public interface IModelCatalog
{
    /// <summary>One entry per model name, in a stable order.</summary>
    IReadOnlyList<ServedModel> List();
}

/// <summary>A model as the fleet serves it. Immutable.</summary>
/// <param name="Description">As a replica describes it; not changed after it was handed out.</param>
/// <param name="FirstSeen">When this gateway first saw it: <c>created</c> of <c>GET /v1/models</c>.</param>
public sealed record ServedModel(ModelDescription Description, DateTimeOffset FirstSeen);
