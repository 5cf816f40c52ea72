using System.Net;
using System.Net.Sockets;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Links;

/// <summary>A connection whose packets are lost and that neither side closes.</summary>
public sealed class KeepAliveTests
{
    [Fact]
    public async Task IdleBus_ConnectionHalfOpen_IsPingedGivenUpAndMadeAnew()
    {
        var engine = new KeyedEngine();
        await using var replica = await BusWorld.StartAsync(engine);
        using var cable = new Cable(replica.App.Endpoint);
        // The shortest that sockets allow.
        var options = GatewaySide.Patient with { KeepAliveInterval = TimeSpan.FromSeconds(1), KeepAliveTimeout = TimeSpan.FromSeconds(1) };
        await using var gateway = new GatewaySide(cable.Address, options);
        engine.Of("before").Say(KeyedEngine.Start, KeyedEngine.Finish);
        await gateway.Read("before").RestAsync();

        cable.Cut();
        await cable.ClosedByGateway.WaitAsync(LinkWorld.Deadline);
        engine.Of("after").Say(KeyedEngine.Start, KeyedEngine.Finish);

        Assert.NotNull((await ReadOnceAnewAsync(gateway, "after"))[^1].Finish);
    }

    // The socket is closed a moment before its readers notice.
    private static async Task<List<GenerateFrame>> ReadOnceAnewAsync(GatewaySide gateway, string prompt)
    {
        while (true)
        {
            try
            {
                return await gateway.Read(prompt).RestAsync();
            }
            catch (FaultException end) when (end.Fault == Fault.ConnectionLost && !gateway.Token.IsCancellationRequested)
            {
                await Task.Yield();
            }
        }
    }

    /// <summary>Forwards bytes in both directions until the existing connections are cut. From then on it reads and discards their bytes.</summary>
    private sealed class Cable : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly IPEndPoint _target;
        private readonly CancellationTokenSource _end = new();
        private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private Switch _isCut = new();

        public Cable(IPEndPoint target)
        {
            _target = target;
            _listener.Start();
            Address = _listener.LocalEndpoint.ToString()!;
            _ = AcceptAsync();
        }

        public string Address { get; }

        /// <summary>Ends when the gateway closes a connection that was cut.</summary>
        public Task ClosedByGateway => _closed.Task;

        public void Cut() => Interlocked.Exchange(ref _isCut, new Switch()).IsCut = true;

        public void Dispose()
        {
            _end.Cancel();
            _listener.Dispose();
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    var gateway = await _listener.AcceptSocketAsync(_end.Token);
                    var replica = new Socket(SocketType.Stream, ProtocolType.Tcp);
                    await replica.ConnectAsync(_target, _end.Token);
                    var cut = _isCut;
                    _ = PumpAsync(gateway, replica, cut, onEnd: () => _closed.TrySetResult());
                    _ = PumpAsync(replica, gateway, cut, onEnd: null);
                }
            }
            catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }

        private async Task PumpAsync(Socket from, Socket to, Switch cut, Action? onEnd)
        {
            try
            {
                var buffer = new byte[16 << 10];
                for (int read; (read = await from.ReceiveAsync(buffer, _end.Token)) > 0;)
                {
                    if (!cut.IsCut)
                        await to.SendAsync(buffer.AsMemory(0, read), _end.Token);
                }
            }
            catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // A reset is an end too.
            }
            if (!cut.IsCut)
                to.Dispose();
            else if (!_end.IsCancellationRequested)
                onEnd?.Invoke();
            from.Dispose();
        }

        private sealed class Switch
        {
            private volatile bool _isCut;

            public bool IsCut
            {
                get => _isCut;
                set => _isCut = value;
            }
        }
    }
}
