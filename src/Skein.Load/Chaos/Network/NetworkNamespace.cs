using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Skein.Load.Chaos.Network;

/// <summary>
/// A network namespace with one tun device, whose other end belongs to this process. The namespace belongs to one
/// thread: processes and sockets created by <see cref="RunAsync{T}"/> are in it, and may then be used from any thread. Linux only. Thread-safe.
/// </summary>
public sealed class NetworkNamespace : IDisposable
{
    private readonly BlockingCollection<Task> _work = [];
    private const string Device = "wire";
    private const nuint SetInterface = 0x400454CA;
    private const short TunWithoutHeader = 0x1001;
    private const int NameBytes = 16;
    private const int RequestBytes = 40;
    private static readonly TimeSpan ActionTimeout = TimeSpan.FromSeconds(10);

    private NetworkNamespace(IPAddress address)
    {
        Address = address;
        new Thread(Work) { IsBackground = true, Name = $"network {address}" }.Start();
    }

    /// <summary>Address of the device, in a /24.</summary>
    public IPAddress Address { get; }

    /// <summary>Reads return IP packets that the namespace sends; writes are packets that it receives.</summary>
    internal SafeFileHandle Card { get; private set; } = new();

    /// <exception cref="NetworkNotPermittedException">This process may not create networks.</exception>
    internal static async Task<NetworkNamespace> CreateAsync(IPAddress address, bool isNew)
    {
        var network = new NetworkNamespace(address);
        try
        {
            network.Card = await network.RunAsync(() => network.Enter(isNew));
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <summary>Runs an action on the thread of the namespace, one at a time.</summary>
    /// <exception cref="TimeoutException">The action took longer than 10 s.</exception>
    public Task<T> RunAsync<T>(Func<T> action)
    {
        var task = new Task<T>(action, TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(task);
        return task.WaitAsync(ActionTimeout, TimeProvider.System);
    }

    /// <summary>Removes the device. The namespace is removed with its last process.</summary>
    public void Dispose()
    {
        Card.Dispose();
        _work.CompleteAdding();
    }

    private void Work()
    {
        foreach (var task in _work.GetConsumingEnumerable())
            task.RunSynchronously(TaskScheduler.Default);
    }

    private SafeFileHandle Enter(bool isNew)
    {
        if (isNew && Kernel.Unshare(Kernel.NewNetwork) != 0)
            throw new NetworkNotPermittedException($"a network namespace is refused (error {Marshal.GetLastPInvokeError()})");
        SafeFileHandle card;
        try
        {
            card = File.OpenHandle("/dev/net/tun", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new NetworkNotPermittedException($"/dev/net/tun cannot be opened ({error.Message})");
        }

        try
        {
            var request = new byte[RequestBytes];
            Encoding.ASCII.GetBytes(Device).CopyTo(request, 0);
            BitConverter.TryWriteBytes(request.AsSpan(NameBytes), TunWithoutHeader);
            if (Kernel.Control(card, SetInterface, request) != 0)
                throw new NetworkNotPermittedException($"a tun device is refused (error {Marshal.GetLastPInvokeError()})");
            Configure($"link set lo up\naddr add {Address}/24 dev {Device}\nlink set {Device} up\n");
            return card;
        }
        catch
        {
            card.Dispose();
            throw;
        }
    }

    private static void Configure(string lines)
    {
        var start = new ProcessStartInfo("ip", ["-batch", "-"]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardError = true };
        try
        {
            using var process = Process.Start(start)!;
            process.StandardInput.Write(lines);
            process.StandardInput.Close();
            var errors = process.StandardError.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
                throw new NetworkNotPermittedException($"the network cannot be set up: {errors.ReplaceLineEndings(" ").Trim()}");
        }
        catch (Win32Exception)
        {
            throw new NetworkNotPermittedException("the command ip (iproute2) is not installed");
        }
    }
}

/// <summary>Network namespaces cannot be created; the message says why.</summary>
public sealed class NetworkNotPermittedException(string message) : Exception(message);
