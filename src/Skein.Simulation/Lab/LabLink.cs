using System.Runtime.CompilerServices;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving;

namespace Skein.Simulation.Lab;

/// <summary>Carries one gateway's attempts to simulated replicas.</summary>
internal sealed class LabLink(string gateway, LabWorld world) : IReplicaLink
{
    public static readonly TimeSpan OneWay = TimeSpan.FromMilliseconds(0.5);

    // Broken connections are told at once, so no heartbeats are needed.
    public bool CanBreak(Replica replica) => false;

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var target = await ReachAsync(replica, cancellationToken);
        var answer = target.Slots.TryTake(gateway, QueueReport.Of(request), out var lease);
        if (answer != SlotAnswer.Granted)
        {
            world.Figures.SlotRefusals++;
            var load = target.Report(gateway);
            await world.DelayAsync(OneWay);
            throw new FaultException(answer == SlotAnswer.Full ? Fault.NoSlot : Fault.Draining, "no slot", load: load);
        }
        using (lease)
        {
            var asked = world.RequestOf(request.RequestId);
            var next = (int)(request.Resume?.NextIndex ?? 0);
            asked.StartedAt ??= world.Now;
            var sequence = target.Engine.Submit(asked, next);
            world.Started(target, asked);
            try
            {
                var report = target.Report(gateway);
                await world.DelayAsync(OneWay);
                cancellationToken.ThrowIfCancellationRequested();
                yield return new GenerateFrame
                {
                    Attempt = request.Attempt, Choice = request.Choice, Load = report,
                    Start = new Start
                    {
                        Model = LabReplica.Model, Fingerprint = LabReplica.Model, Unit = TokenUnit.Token, ResumeTier = ResumeTier.Exact,
                        ResumedAt = (uint)next, PromptTokens = (uint)asked.Trace.PromptTokens,
                    },
                };
                while (true)
                {
                    await sequence.WaitAsync(cancellationToken);
                    if (sequence.Fault is { } fault)
                        throw new FaultException(fault, "the replica is gone");
                    var frame = new GenerateFrame
                    {
                        Attempt = request.Attempt, Choice = request.Choice, FirstIndex = (uint)next, Count = (uint)(sequence.NextIndex - next),
                    };
                    next = sequence.NextIndex;
                    if (sequence.IsOver)
                    {
                        lease!.Dispose();
                        world.LoadChanged(target);
                        frame.Load = target.Report(gateway);
                        frame.Finish = new Finish { Reason = FinishReason.Stop };
                        yield return frame;
                        yield break;
                    }
                    yield return frame;
                }
            }
            finally
            {
                target.Engine.Remove(sequence);
                lease!.Dispose();
                world.LoadChanged(target);
            }
        }
    }

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        Task.FromException(new FaultException(Fault.ResumeRefused, "the lab has no standby attempts"));

    public async Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => await ReachAsync(replica, cancellationToken);

    private async Task<LabReplica> ReachAsync(Replica replica, CancellationToken cancellationToken)
    {
        await world.DelayAsync(OneWay);
        cancellationToken.ThrowIfCancellationRequested();
        var target = world.ReplicaOf(replica.Id.Name);
        return target.IsUp && target.Generation == replica.Id.Generation ? target : throw new FaultException(Fault.Unreachable, "refused");
    }
}
