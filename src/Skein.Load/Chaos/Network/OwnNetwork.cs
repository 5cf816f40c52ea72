using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Skein.Load.Chaos.Network;

/// <summary>
/// A network namespace for this whole process, with the right to create others. A process with threads cannot acquire that right,
/// so it replaces itself by <c>unshare</c> (util-linux), which creates the namespace and starts the program again. Linux, as root or where users may
/// create namespaces.
/// </summary>
public static class OwnNetwork
{
    private static readonly TimeSpan TrialTimeout = TimeSpan.FromSeconds(10);

    /// <summary>True if the fault needs replicas in networks of their own.</summary>
    public static bool IsNeededFor(FaultKind kind) => kind is FaultKind.Loss or FaultKind.Cut;

    /// <summary>Tries the required calls in a short-lived process.</summary>
    /// <returns>Why they are not possible here; null if they are.</returns>
    public static async Task<string?> WhyNotAsync(CancellationToken cancellationToken = default)
    {
        if (!OperatingSystem.IsLinux())
            return "faults that lose packets need Linux";
        string[] trial = [.. Unshare, "ip", "tuntap", "add", "dev", "trial", "mode", "tun"];
        var command = $"'{string.Join(' ', trial)}'";
        using var timeout = new CancellationTokenSource(TrialTimeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            using var process = Process.Start(new ProcessStartInfo(trial[0], trial[1..]) { UseShellExecute = false, RedirectStandardError = true })!;
            var errors = await process.StandardError.ReadToEndAsync(either.Token);
            await process.WaitForExitAsync(either.Token);
            return process.ExitCode == 0 ? null : $"{command} fails: {errors.ReplaceLineEndings(" ").Trim()}";
        }
        catch (Win32Exception)
        {
            return "the command unshare (util-linux) is not installed";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"{command} did not end within {TrialTimeout.TotalSeconds:0} s";
        }
    }

    /// <summary>Replaces this process by the command in a new network namespace. Process id, open files and environment stay.</summary>
    /// <returns>The reason of the failure; does not return on success.</returns>
    public static NetworkNotPermittedException Enter(IReadOnlyList<string> command)
    {
        Kernel.Execute(Unshare[0], [.. Unshare, .. command, null]);
        return new NetworkNotPermittedException($"'{Unshare[0]}' cannot be run: error {Marshal.GetLastPInvokeError()}");
    }

    private static string[] Unshare { get; } =
        Environment.IsPrivilegedProcess ? ["unshare", "--net", "--"] : ["unshare", "--user", "--map-root-user", "--net", "--"];
}
