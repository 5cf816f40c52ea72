using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Gateway.Admin;
using Skein.Gateway.Group;
using Skein.Gateway.Links.InProcess;
using Skein.Gateway.Tests.Links;
using Skein.Gateway.Upstreams;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Tests.Upstreams;

/// <summary>What requests are told whose upstreams do not serve yet, or no more.</summary>
public sealed class UpstreamRequestTests : UpstreamGateway
{
    [Fact]
    public async Task Request_OnlyUpstreamRefusesTheKey_IsToldAtOnceAndWithoutAnAddress()
    {
        _gateway.Upstreams.Add(Of("10.1.2.3:8000", _engine) with
        {
            ConnectAsync = _ => throw new FaultException(Fault.EngineKeyRefused, "the engine at http://10.1.2.3:8000/ answers 401: Unauthorized"),
        });
        await UntilAsync(() => Status("10.1.2.3:8000").Reason.StartsWith("refuses", StringComparison.Ordinal), "a reason");

        var answer = await AskAsync("Hello").WaitAsync(TimeSpan.FromSeconds(15));

        Assert.Contains("no replica can serve model 'm': upstream-1 refuses the gateway", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("10.1.2.3", answer, StringComparison.Ordinal);
        Assert.Equal("dead", Status("10.1.2.3:8000").State);
        Assert.Contains("answers 401: Unauthorized", Status("10.1.2.3:8000").Reason, StringComparison.Ordinal);
    }

    /// <summary>It waited before the cause was known: then it ends at once too.</summary>
    [Fact]
    public async Task Request_WaitsWhenTheKeyIsRefused_EndsThen()
    {
        var connecting = new TaskCompletionSource<IInferenceEngine>();
        _gateway.Upstreams.Add(Of("host:1", _engine) with { ConnectAsync = _ => connecting.Task });
        var answer = AskAsync("Hello");
        await UntilAsync(() => _gateway.Services.GetRequiredService<AdmissionQueue>().Waiting == 1, "a waiting request");

        connecting.SetException(new FaultException(Fault.EngineKeyRefused, "401"));

        Assert.Contains("upstream-1 refuses the gateway", await answer.WaitAsync(TimeSpan.FromSeconds(15)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_AnotherUpstreamMayReturn_Waits()
    {
        var connecting = new TaskCompletionSource<IInferenceEngine>();
        _gateway.Upstreams.Add(Of("host:1", _engine) with { ConnectAsync = _ => throw new FaultException(Fault.EngineKeyRefused, "401") });
        _gateway.Upstreams.Add(Of("host:2", _engine) with { ConnectAsync = _ => connecting.Task });
        await UntilAsync(() => Status("host:1").Reason.StartsWith("refuses", StringComparison.Ordinal), "a reason");
        var answer = AskAsync("Hello");
        await UntilAsync(() => _gateway.Services.GetRequiredService<AdmissionQueue>().Waiting == 1, "a waiting request");
        _engine.Of("Hello").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Finish);

        connecting.SetResult(_engine);

        Assert.Contains("\"text\":\"x\"", await answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_UpstreamStillLoads_WaitsAndTheErrorSaysSo()
    {
        await using var gateway = GatewayApp.Build(new GatewayOptions
        {
            Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), StopTimeout = TimeSpan.Zero,
            Admission = new AdmissionOptions { NoReplicaTimeout = TimeSpan.FromMilliseconds(300) },
        });
        await gateway.StartAsync(TestContext.Current.CancellationToken);
        var tries = 0;
        // With the second try the end of the first one is known.
        var secondTry = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Upstreams.Add(Of("host:1", _engine) with { ConnectAsync = _ =>
        {
            if (++tries == 2)
                secondTry.SetResult();
            throw new FaultException(Fault.EngineBusy, "503: Loading model");
        } });
        await secondTry.Task.WaitAsync(TimeSpan.FromSeconds(15), TestContext.Current.CancellationToken);

        var answer = await AskAsync("Hello", gateway);

        // On a busy machine the wait ends later than asked for.
        Assert.Matches(@"no live replica could serve model 'm' for [0-9.]+ s: upstream-1 is still loading its model", answer);
        await gateway.StopAsync(TestContext.Current.CancellationToken);
    }
}
