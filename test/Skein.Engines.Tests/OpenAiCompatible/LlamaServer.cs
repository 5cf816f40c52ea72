using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.Tests.Embedded;
using Skein.Protocol;

[assembly: AssemblyFixture(typeof(Skein.Engines.Tests.OpenAiCompatible.LlamaServer))]

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>
/// A real llama.cpp server, by default with the model that comes with Skein, computing the same bits for prompt and answer. Found by SKEIN_LLAMA_SERVER (the
/// program) or fetched by a tool beside the repository; tests are skipped without it. Started by the first test that asks.
/// </summary>
public sealed class LlamaServer : IAsyncLifetime
{
    private const int Slots = 4;
    private readonly string _modelFile;
    private readonly string[] _arguments;
    private readonly Lazy<Process?> _process;
    private readonly int _port = FreePort();

    public LlamaServer()
        : this(Loaded.DefaultModelFile)
    {
    }

    /// <param name="arguments">Further arguments of the program.</param>
    internal LlamaServer(string modelFile, params string[] arguments)
    {
        (_modelFile, _arguments) = (modelFile, arguments);
        _process = new Lazy<Process?>(Start);
    }

    public Uri Url => new($"http://127.0.0.1:{_port}/v1");

    /// <summary>Connects an engine; skips the test where there is no server.</summary>
    public async Task<IInferenceEngine> ConnectAsync(Func<OpenAiEngineOptions, OpenAiEngineOptions>? change = null)
    {
        Assert.SkipWhen(_process.Value is null, LlamaProgram.Missing);
        var options = new OpenAiEngineOptions { BaseUrl = Url, IsBitExact = true };
        options = change?.Invoke(options) ?? options;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(TimeSpan.FromMinutes(1));
        while (true)
        {
            try
            {
                var engine = await OpenAiEngineFactory.ConnectAsync(options, TimeProvider.System, cancellationToken: deadline.Token);
                await Trial.EndedAsync(engine, deadline.Token);
                return engine;
            }
            catch (FaultException exception) when (
                exception.Fault is Fault.Unreachable or Fault.ConnectionLost or Fault.EngineTimedOut or Fault.EngineFailed or Fault.EngineBusy)
            {
                // It still loads its model.
                await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System, deadline.Token);
            }
        }
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_process.IsValueCreated && _process.Value is { } process)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }
    }

    private Process? Start() => LlamaProgram.Find() is { } program ? LlamaProgram.Start(program, _modelFile, _port, Slots, _arguments) : null;

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
