using System.Globalization;
using System.Net.Sockets;
using Skein.Load.Chaos;
using Skein.Load.Chaos.Servers;
using Skein.Operations.Fleet;

namespace Skein.Operations.Chaos;

/// <summary>Model servers as the upstreams of one gateway. Safe for concurrent calls for different servers.</summary>
/// <param name="servers">In the order in which the gateway was given them.</param>
public sealed class ChaosServers(IReadOnlyList<IFaultyServer> servers, GatewayClient gateway, TimeProvider time) : IChaosServers, IDisposable
{
    private static readonly TimeSpan RecoveryTimeout = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan TrialTimeout = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan PollPeriod = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(5);

    private static readonly string[] Tiers = ["none", "text", "tokens", "exact"];

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, PooledConnectionLifetime = TimeSpan.Zero }) { Timeout = AnswerTimeout };
    private readonly int[] _ranks = new int[servers.Count];

    public IReadOnlyList<string> Names { get; } =
        [.. Enumerable.Range(1, servers.Count).Select(number => string.Create(CultureInfo.InvariantCulture, $"upstream-{number}"))];

    public IReadOnlyList<FaultKind> Kinds { get; } = [.. servers.SelectMany(server => server.Kinds).Distinct().Order()];

    /// <summary>Waits until the gateway serves all servers, and each was tried.</summary>
    /// <exception cref="ChaosException">It does not in time; the message has the gateway's reason.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < servers.Count; i++)
        {
            var row = await RowAsync(i, row => row.State == "alive" && row.Tier.Length > 0, "is not served", cancellationToken);
            // A slow server is tried further while it serves, with the lowest tier.
            var tried = RankOf(row) > 0 ? row : (await WaitAsync(i, row => row.State == "alive" && RankOf(row) > 0, TrialTimeout, cancellationToken)).Row;
            _ranks[i] = RankOf(tried ?? row);
        }
    }

    public async Task<IReadOnlyList<string>> BusyAsync(CancellationToken cancellationToken)
    {
        var rows = await RowsAsync(cancellationToken);
        return [.. Names.Where((_, i) => rows.Any(row => row.Name == RowName(i) && row.InFlight > 0))];
    }

    public async Task InjectAsync(InjectedFault fault, CancellationToken cancellationToken)
    {
        var index = Names.TakeWhile(name => name != fault.Replica).Count();
        var server = servers[index];
        try
        {
            await server.InjectAsync(fault, cancellationToken);
        }
        catch (CommandFailedException error)
        {
            throw new ChaosException($"{fault.Replica}, fault '{ChaosRun.NameOf(fault.Kind)}': {error.Message}", error);
        }

        using var timeout = new CancellationTokenSource(RecoveryTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            while (!await AnswersAsync(server.Url, either.Token))
                await Task.Delay(PollPeriod, time, either.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            throw new ChaosException(
                $"{fault.Replica} ({server.Url}) did not answer within {RecoveryTimeout.TotalSeconds:0} s after the fault '{ChaosRun.NameOf(fault.Kind)}'");
        }

        await RowAsync(index, row => row.State == "alive" && RankOf(row) >= _ranks[index], "is not served as before", cancellationToken);
    }

    public void Dispose() => _http.Dispose();

    private string RowName(int index) => string.Create(CultureInfo.InvariantCulture, $"{servers[index].Url.Host}:{servers[index].Url.Port}");

    /// <summary>Whether the server lists its models. Any status but that of a server that loads is an answer: some want a key.</summary>
    private async Task<bool> AnswersAsync(Uri url, CancellationToken cancellationToken)
    {
        try
        {
            var root = url.ToString().TrimEnd('/');
            var models = root.EndsWith("/v1", StringComparison.Ordinal) ? $"{root}/models" : $"{root}/v1/models";
            using var answer = await _http.GetAsync(new Uri(models), cancellationToken);
            return (int)answer.StatusCode < 500;
        }
        catch (Exception exception) when (exception is HttpRequestException or SocketException)
        {
            // A connection that is reset while it is made comes as the latter.
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private static int RankOf(MemberRow row) => Array.IndexOf(Tiers, row.Tier);

    private async Task<MemberRow> RowAsync(int index, Func<MemberRow, bool> isWanted, string problem, CancellationToken cancellationToken)
    {
        var (row, last) = await WaitAsync(index, isWanted, RecoveryTimeout, cancellationToken);
        var state = last is null ? "unknown" : $"{last.State}, tier '{last.Tier}', {last.Reason}";
        return row ?? throw new ChaosException(
            $"{Names[index]} ({servers[index].Url}) {problem} by the gateway within {RecoveryTimeout.TotalSeconds:0} s: {state}");
    }

    /// <returns>The row; null if it did not come in time. The last one that was seen.</returns>
    private async Task<(MemberRow? Row, MemberRow? Last)> WaitAsync(
        int index, Func<MemberRow, bool> isWanted, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        MemberRow? last = null;
        try
        {
            while (true)
            {
                last = (await RowsAsync(either.Token)).FirstOrDefault(row => row.Name == RowName(index)) ?? last;
                if (last is not null && isWanted(last))
                    return (last, last);
                await Task.Delay(PollPeriod, time, either.Token);
            }
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            return (null, last);
        }
    }

    private async Task<IReadOnlyList<MemberRow>> RowsAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await gateway.MembersAsync(cancellationToken);
        }
        catch (Exception error) when (error is CommandFailedException or UsageException)
        {
            throw new ChaosException(error.Message, error);
        }
    }
}
