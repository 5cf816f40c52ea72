using Skein.Routing.Fleet;

namespace Skein.Gateway.Admin;

/// <summary>Requests a short answer of each model of one replica over the link of clients' requests, without the queue. Thread-safe.</summary>
internal sealed class ReplicaProbe(IReplicaLink link, TimeProvider time)
{
    private const int AnswerTokens = 8;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    /// <exception cref="AdminRefusedException">A model did not answer.</exception>
    public async Task<IReadOnlyList<ProbeRow>> RunAsync(Replica replica, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var rows = new List<ProbeRow>();
        foreach (var model in replica.Description.Models)
        {
            try
            {
                rows.Add(await AskAsync(replica, model, either.Token));
            }
            catch (FaultException error)
            {
                throw new AdminRefusedException(502, "replica_failed", $"{replica.Id.Name} did not answer with {model}: {error.Message}", error);
            }
            catch (OperationCanceledException error) when (timeout.IsCancellationRequested)
            {
                throw new AdminRefusedException(
                    504, "replica_silent", $"{replica.Id.Name} did not answer with {model} within {Timeout.TotalSeconds:0} s", error);
            }
        }
        return rows;
    }

    private async Task<ProbeRow> AskAsync(Replica replica, string model, CancellationToken cancellationToken)
    {
        var request = new GenerateRequest
        {
            RequestId = $"probe-{replica.Id.Name}", Model = model, Text = "Hello", MaxTokens = AnswerTokens, N = 1, Attempt = 1,
            Sampling = new Sampling { Temperature = 0, Seed = 1 },
        };
        var asked = time.GetTimestamp();
        var tokens = 0;
        var finished = false;
        await foreach (var frame in link.GenerateAsync(replica, request, cancellationToken))
        {
            tokens += (int)frame.Count;
            finished |= frame.Finish is not null;
        }
        if (!finished)
            throw new FaultException(Fault.EngineFailed, "the stream ended without its finish");
        return new ProbeRow(model, tokens, time.GetElapsedTime(asked).TotalMilliseconds);
    }
}
