using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Skein.Load.Chaos;
using Skein.Operations.Supervision;

namespace Skein.Operations.Chaos;

/// <summary>A model server that this process starts, kills, freezes and starts again. It listens on a free port of loopback.</summary>
public sealed class ServerProcess : IFaultyServer
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(4);

    private readonly ServerCommand _command;
    private readonly TimeProvider _time;
    private Process _process;
    private volatile string _lastLine = "";

    private ServerProcess(ServerCommand command, Uri url, TimeProvider time)
    {
        (_command, _time, Url) = (command, time, url);
        _process = Run();
    }

    public Uri Url { get; }

    public IReadOnlyList<FaultKind> Kinds { get; } = [FaultKind.Kill, FaultKind.Freeze, FaultKind.Restart];

    /// <summary>Starts a server. It needs time until it answers.</summary>
    /// <exception cref="ChaosException">The program cannot be started.</exception>
    public static ServerProcess Start(ServerCommand command, TimeProvider time)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        return new ServerProcess(command, new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}")), time);
    }

    public async Task InjectAsync(InjectedFault fault, CancellationToken cancellationToken)
    {
        switch (fault.Kind)
        {
            case FaultKind.Kill:
                await EndAsync(ProcessSignal.Kill, cancellationToken);
                _process = Run();
                break;
            case FaultKind.Restart:
                await EndAsync(ProcessSignal.Terminate, cancellationToken);
                _process = Run();
                break;
            case FaultKind.Freeze:
                ProcessSignal.Send(_process.Id, ProcessSignal.Stop);
                try
                {
                    await Task.Delay(fault.Duration, _time, cancellationToken);
                }
                finally
                {
                    ProcessSignal.Send(_process.Id, ProcessSignal.Continue);
                }
                break;
            default:
                throw new ChaosException($"the fault '{ChaosRun.NameOf(fault.Kind)}' is not possible for a server that is started here");
        }

        if (_process.HasExited)
            throw new ChaosException($"the server at {Url} ended with code {_process.ExitCode}: {_lastLine}");
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
    }

    private async Task EndAsync(int signal, CancellationToken cancellationToken)
    {
        if (_process.HasExited)
            throw new ChaosException($"the server at {Url} ended by itself with code {_process.ExitCode}: {_lastLine}");
        ProcessSignal.Send(_process.Id, signal);
        using var deadline = new CancellationTokenSource(StopTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await _process.WaitForExitAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // It lets its answers finish, or a script stands in front of it.
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(cancellationToken);
        }

        _process.Dispose();
    }

    private Process Run()
    {
        var words = _command.For(Url);
        var start = new ProcessStartInfo(words[0], words.Skip(1)) { UseShellExecute = false };
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        var process = new Process { StartInfo = start };
        DataReceivedEventHandler keep = (_, line) => _lastLine = string.IsNullOrWhiteSpace(line.Data) ? _lastLine : line.Data.Trim();
        process.OutputDataReceived += keep;
        process.ErrorDataReceived += keep;
        try
        {
            process.Start();
        }
        catch (Win32Exception error)
        {
            process.Dispose();
            throw new ChaosException($"'{words[0]}' could not be started: {error.Message}", error);
        }

        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }
}
