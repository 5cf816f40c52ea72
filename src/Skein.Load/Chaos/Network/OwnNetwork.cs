using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Skein.Load.Chaos.Network;

/// <summary>
/// A network of its own for this whole process, in which it may make others. A process with threads cannot give itself the rights to that,
/// so it becomes <c>unshare</c> (util-linux), which makes the network and then becomes the program again. Linux, as root or where users may
/// have namespaces.
/// </summary>
public static class OwnNetwork
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Whether a fault can happen only to replicas in networks of their own.</summary>
    public static bool IsNeededFor(FaultKind kind) => kind is FaultKind.Loss or FaultKind.Cut;

    /// <summary>Tries what is needed in a process that ends at once.</summary>
    /// <returns>Why it is not possible here, in a few words; null: it is.</returns>
    public static async Task<string?> WhyNotAsync(CancellationToken cancellationToken = default)
    {
        if (!OperatingSystem.IsLinux())
        {
            return "packets can only be lost on Linux";
        }

        string[] trial = [.. Unshare, "ip", "tuntap", "add", "dev", "trial", "mode", "tun"];
        var words = $"'{string.Join(' ', trial)}'";
        using var patience = new CancellationTokenSource(Patience, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            using var process = Process.Start(new ProcessStartInfo(trial[0], trial[1..]) { UseShellExecute = false, RedirectStandardError = true })!;
            var errors = await process.StandardError.ReadToEndAsync(either.Token);
            await process.WaitForExitAsync(either.Token);
            return process.ExitCode == 0 ? null : $"{words} fails: {errors.ReplaceLineEndings(" ").Trim()}";
        }
        catch (Win32Exception)
        {
            return "the command unshare (util-linux) is not installed";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"{words} did not end within {Patience.TotalSeconds:0} s";
        }
    }

    /// <summary>This process becomes that command in a network of its own; its id, its files and its environment stay.</summary>
    /// <returns>Only where that fails (<see cref="WhyNotAsync"/> tells before): why.</returns>
    public static NetworkNotPermittedException Enter(IReadOnlyList<string> command)
    {
        Kernel.Become([.. Unshare, .. command]);
        return new NetworkNotPermittedException($"'{Unshare[0]}' cannot be run: error {Marshal.GetLastPInvokeError()}");
    }

    private static string[] Unshare { get; } = Environment.IsPrivilegedProcess ? ["unshare", "--net", "--"] : ["unshare", "--user", "--map-root-user", "--net", "--"];
}
