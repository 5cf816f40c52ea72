using System.Runtime.CompilerServices;
using Skein.Engines;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Routing.Tests.Support;

/// <summary>Real engines in this process, one per replica, whose streams can be cut before any token.</summary>
internal sealed class EngineLink(IReadOnlyDictionary<string, IInferenceEngine> engines) : IReplicaLink
{
    /// <summary>Whether attempt a of choice c is lost before it says token i (or, at the answer's length, the finish).</summary>
    public Func<uint, uint, int, bool> Cut { get; set; } = (_, _, _) => false;

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        int index = (int)(request.Resume?.NextIndex ?? 0);
        await foreach (GenerateFrame frame in engines[replica.Id.Name].GenerateAsync(request, cancellationToken))
        {
            if (frame.Start is null && Cut(request.Attempt, request.Choice, index))
                throw new LinkException(LinkError.EngineFailed, "cut by the test");
            index += (int)frame.Count;
            frame.Attempt = request.Attempt;
            frame.Choice = request.Choice;
            yield return frame;
        }
    }

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        throw new LinkException(LinkError.ResumeRefused, "nothing is held here");

    public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => Task.CompletedTask;
}
