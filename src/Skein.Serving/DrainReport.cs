using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>Reports a replica's drain as <c>admin.proto</c> defines it.</summary>
public static class DrainReport
{
    /// <param name="control">The replica.</param>
    /// <param name="changed">Whether the request that is answered changed the drain.</param>
    public static DrainStatus Of(IReplicaControl control, bool changed) => new()
    {
        Load = control.Report(),
        GraceLeftMs = (uint)Math.Ceiling((control.GraceLeft ?? TimeSpan.Zero).TotalMilliseconds),
        Changed = changed,
    };
}
