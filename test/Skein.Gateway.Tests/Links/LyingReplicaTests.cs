using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Membership;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Gateway.Tests.Links;

/// <summary>A gateway, an honest replica and one that counts wrongly, all on sockets of loopback. The liar is asked first.</summary>
public sealed class LyingReplicaTests : IAsyncLifetime
{
    private const int MaxTokens = 8;

    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(30), TimeProvider.System);
    private readonly Liar _liar = new();
    private readonly List<ReplicaApp> _replicas = [];
    private readonly List<IMembership> _members = [];
    private readonly HttpClient _http = new();
    private readonly GatewayApp _gateway = GatewayApp.Build(new GatewayOptions
    {
        Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), ExpectedReplicas = 2,
    });

    public async ValueTask InitializeAsync()
    {
        await _gateway.StartAsync(_deadline.Token);
        _gateway.Join(await MemberAsync("g", new MemberMetadata { Role = Roles.Gateway }));
        await ReplicaAsync("honest", weight: 1, liar: null);
        await ReplicaAsync("liar", weight: 1000, _liar);
        _http.BaseAddress = new Uri($"http://{_gateway.Http}");
        while (!(await _http.GetAsync("/readyz", _deadline.Token)).IsSuccessStatusCode)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, _deadline.Token);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var member in _members)
            await member.DisposeAsync();
        await _gateway.StopAsync(new CancellationToken(canceled: true));
        await _gateway.DisposeAsync();
        foreach (var replica in _replicas)
        {
            await replica.AbortAsync();
            await replica.DisposeAsync();
        }
        _http.Dispose();
        _deadline.Dispose();
    }

    /// <summary>Billions of tokens gave a negative index and an answer without an end, and a key was charged for them.</summary>
    [Fact]
    public async Task Complete_ReplicaCountsWrongly_TheAnswerAndItsUsageAreTheHonestOnes()
    {
        var (honest, _) = await AskAsync();
        Action<GenerateFrame>[] lies =
        [
            frame => frame.Count = frame.Count > 0 ? 4_000_000_000 : 0,
            frame => frame.FirstIndex = frame.Count > 0 ? 4_000_000_000 : frame.FirstIndex,
            frame => (frame.Start ?? new Start()).PromptTokens = 4_000_000_000,
            frame => (frame.Finish?.Usage ?? new Usage()).CompletionTokens = 4_000_000_000,
            GoOn,
        ];
        foreach (var lie in lies)
        {
            _liar.Tell(lie);

            var (answer, attempts) = await AskAsync();

            Assert.Equal(honest, answer);
            Assert.Equal((true, 2), (_liar.HasLied, attempts));
        }

        // One token more than the client allowed, where the answer should end.
        static void GoOn(GenerateFrame frame)
        {
            if (frame.Finish is null)
                return;
            frame.FirstIndex = frame.Count == 0 ? MaxTokens : frame.FirstIndex;
            (frame.Count, frame.Finish) = (frame.Count + 1, null);
            frame.TokenIds.Add(7);
        }
    }

    private async Task<(string Answer, int Attempts)> AskAsync()
    {
        using var response = await _http.PostAsJsonAsync("/v1/completions", new { prompt = "Count", max_tokens = MaxTokens, seed = 1 }, _deadline.Token);
        var text = await response.Content.ReadAsStringAsync(_deadline.Token);
        Assert.True(response.IsSuccessStatusCode, text);
        var answer = JsonNode.Parse(text)!;
        return ($"{answer["choices"]!.ToJsonString()} {answer["usage"]!.ToJsonString()}", int.Parse(response.Headers.GetValues("x-skein-attempts").Single(), null));
    }

    private async Task ReplicaAsync(string name, float weight, Liar? liar)
    {
        var engine = SimulatedEngineFactory.Create(new SimulatedEngineOptions(), TimeProvider.System);
        var replica = ReplicaApp.Build(new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) }, engine, builder =>
        {
            if (liar is not null)
                builder.Services.AddSingleton(liar).Configure<GrpcServiceOptions>(options => options.Interceptors.Add<Liar>());
        });
        _replicas.Add(replica);
        await replica.StartAsync(_deadline.Token);
        var description = await engine.DescribeAsync(_deadline.Token);
        await MemberAsync(name, new MemberMetadata
        {
            Role = Roles.Replica, Grpc = replica.Endpoint.ToString(), Weight = weight, Slots = 8, Models = { description.Models.Select(model => model.Name) },
        });
    }

    private async Task<IMembership> MemberAsync(string name, MemberMetadata metadata)
    {
        var options = new MembershipOptions
        {
            Name = name, Bind = new IPEndPoint(IPAddress.Loopback, 0), Seeds = [.. _members.Take(1).Select(seed => seed.LocalEndPoint.ToString())],
        };
        var member = await MembershipService.StartAsync(options, metadata, TimeProvider.System, NullLoggerFactory.Instance, _deadline.Token);
        _members.Add(member);
        return member;
    }

    /// <summary>Changes the frames that a replica sends.</summary>
    private sealed class Liar : Interceptor
    {
        private volatile Action<GenerateFrame>? _lie;

        public bool HasLied { get; private set; }

        public void Tell(Action<GenerateFrame> lie) => (_lie, HasLied) = (lie, false);

        public override Task DuplexStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
            DuplexStreamingServerMethod<TRequest, TResponse> continuation) =>
            continuation(requestStream, new Writer<TResponse>(this, responseStream), context);

        private void Change(object? message)
        {
            if (message is not BusFrames frames || _lie is not { } lie)
                return;
            foreach (var frame in frames.Frames)
            {
                var before = frame.Clone();
                lie(frame);
                HasLied |= !frame.Equals(before);
            }
        }

        private sealed class Writer<T>(Liar liar, IServerStreamWriter<T> inner) : IServerStreamWriter<T>
        {
            public WriteOptions? WriteOptions
            {
                get => inner.WriteOptions;
                set => inner.WriteOptions = value;
            }

            public Task WriteAsync(T message)
            {
                liar.Change(message);
                return inner.WriteAsync(message);
            }

            public Task WriteAsync(T message, CancellationToken cancellationToken)
            {
                liar.Change(message);
                return inner.WriteAsync(message, cancellationToken);
            }
        }
    }
}
