using Skein.Engines.OpenAiCompatible.LlamaCpp;
using Skein.Engines.OpenAiCompatible.SgLang;
using Skein.Engines.OpenAiCompatible.Vllm;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>The profiles of the known servers.</summary>
internal static class ServerProfiles
{
    /// <summary>All profiles, in the order in which an unknown server is probed. The last one fits every server. To add one, add it here.</summary>
    public static IReadOnlyList<ServerProfile> All { get; } =
    [
        new LlamaCppProfile(),
        new OllamaProfile(),
        new SgLangProfile(),
        new VllmProfile(),
        new GenericProfile(),
    ];

    /// <summary>Finds out which server it is, or checks what the operator declared.</summary>
    /// <exception cref="FaultException">
    /// The server cannot be asked, or is another one. A server that is not up yet is <see cref="Fault.Unreachable"/>, <see cref="Fault.ConnectionLost"/>,
    /// <see cref="Fault.EngineTimedOut"/> or <see cref="Fault.EngineFailed"/>.
    /// </exception>
    public static async ValueTask<(ServerProfile Profile, ServerFacts Facts)> ProbeAsync(EngineHttp http, string? declared, CancellationToken cancellationToken)
    {
        foreach (var profile in All.Where(profile => declared is null || profile.Name == declared))
        {
            if (await profile.ProbeAsync(http, declared is not null, cancellationToken) is { } facts)
                return (profile, facts);

            if (declared is not null)
                throw new FaultException(Fault.Unsupported, $"{http.Name} is not of the kind {declared}, which --engine-kind declares: {profile.Missing}");
        }

        throw new InvalidOperationException("no profile fits; the last one fits every server");
    }
}
