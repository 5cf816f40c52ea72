using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Skein.Engines;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Routing.Tests.Support;

/// <summary>Real engines in this process, one per replica, whose streams can be cut before any token.</summary>
internal sealed class EngineLink(IReadOnlyDictionary<string, IInferenceEngine> engines) : IReplicaLink
{
    /// <summary>Whether attempt a of choice c is lost before it says token i (or, at the answer's length, the finish).</summary>
    public Func<uint, uint, int, bool> Cut { get; set; } = (_, _, _) => false;

    /// <summary>Whether attempt a of choice c says no more, but lives, before token i: the stream has to be moved.</summary>
    public Func<Replica, uint, uint, int, bool> Leave { get; set; } = (_, _, _, _) => false;

    private readonly ConcurrentDictionary<(uint Choice, uint Attempt), TaskCompletionSource<Resume?>> _standbys = [];
    private readonly ConcurrentDictionary<(uint Choice, uint Attempt), Resume?> _resumes = [];

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var index = (int)(request.Resume?.NextIndex ?? 0);
        var engine = engines[replica.Id.Name];
        var frames = request.Hold
            ? engine.GenerateStandbyAsync(request, JournalOf(request).WaitAsync, cancellationToken)
            : engine.GenerateAsync(request, cancellationToken);
        await foreach (var frame in frames)
        {
            while (frame.Start is null && Leave(replica, request.Attempt, request.Choice, index))
            {
                await Task.Yield();
                cancellationToken.ThrowIfCancellationRequested();
                yield return new GenerateFrame { Attempt = request.Attempt, Choice = request.Choice };
            }
            if (frame.Start is null && Cut(request.Attempt, request.Choice, index))
                throw new FaultException(Fault.EngineFailed, "cut by the test");
            index += (int)frame.Count;
            frame.Attempt = request.Attempt;
            frame.Choice = request.Choice;
            yield return frame;
        }
    }

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken)
    {
        // The stream is cut where the standby attempt began: nothing was generated since.
        Assert.Empty(request.TokenIds);
        _standbys[(request.Choice, request.Attempt)].SetResult(_resumes[(request.Choice, request.Attempt)]);
        return Task.CompletedTask;
    }

    private Task<Resume?> JournalOf(GenerateRequest request)
    {
        var standby = _standbys[(request.Choice, request.Attempt)] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _resumes[(request.Choice, request.Attempt)] = request.Resume;
        return standby.Task;
    }

    public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => Task.CompletedTask;
}
