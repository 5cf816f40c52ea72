using Skein.Gateway.Admin;

namespace Skein.Operations.Fleet;

/// <summary>What one can do to replicas, through a gateway.</summary>
/// <remarks>
/// Every call throws <see cref="UsageException"/> where the gateway calls the input wrong, <see cref="GatewayRefusedException"/> where it
/// could not do it, and <see cref="CommandFailedException"/> where no gateway answers.
/// </remarks>
public sealed class FleetClient(GatewayClient gateway)
{
    public Task<IReadOnlyList<MemberRow>> MembersAsync(CancellationToken cancellationToken) => gateway.MembersAsync(cancellationToken);

    public Task<CounterRow> CountersAsync(CancellationToken cancellationToken) => gateway.GetAsync<CounterRow>("/admin/v1/counters", cancellationToken);

    public Task<ReplicaRow> LookAsync(string name, CancellationToken cancellationToken) => SayingWhatIsWrong(gateway.GetAsync<ReplicaRow>(PathOf(name), cancellationToken));

    public Task<ReplicaRow> DrainAsync(string name, TimeSpan grace, CancellationToken cancellationToken) =>
        PostAsync<ReplicaRow>(name, "drain", new DrainBody(grace.TotalSeconds), cancellationToken);

    public Task<ReplicaRow> UndrainAsync(string name, CancellationToken cancellationToken) => PostAsync<ReplicaRow>(name, "undrain", new { }, cancellationToken);

    /// <summary>Only for replicas of <c>skein up</c>.</summary>
    public Task RestartAsync(string name, string revision, CancellationToken cancellationToken) =>
        PostAsync<RestartBody>(name, "restart", new RestartBody(revision), cancellationToken);

    /// <summary>One short answer of each of its models.</summary>
    public Task<ProbeRow[]> ProbeAsync(string name, CancellationToken cancellationToken) => PostAsync<ProbeRow[]>(name, "probe", new { }, cancellationToken);

    private Task<T> PostAsync<T>(string name, string verb, object body, CancellationToken cancellationToken) =>
        SayingWhatIsWrong(gateway.PostAsync<T>($"{PathOf(name)}/{verb}", body, cancellationToken));

    private static string PathOf(string name) => $"/admin/v1/replicas/{Uri.EscapeDataString(name)}";

    private static async Task<T> SayingWhatIsWrong<T>(Task<T> asked)
    {
        try
        {
            return await asked;
        }
        catch (GatewayRefusedException refused) when (refused.IsBadInput)
        {
            throw new UsageException(refused.Reason);
        }
    }
}
