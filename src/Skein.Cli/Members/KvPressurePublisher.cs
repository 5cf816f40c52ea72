using Skein.Serving;

namespace Skein.Cli.Members;

/// <summary>
/// Publishes in a replica's metadata how full its engine's KV cache is, in eighths, so that gateways without streams there know it too. Looks once a second;
/// a use that wavers around a step is published once.
/// </summary>
internal sealed class KvPressurePublisher : IDisposable
{
    public const uint Most = 8;

    private const uint PermillePerStep = 1000 / Most;

    /// <summary>By how much the use must fall below a step, in thousandths.</summary>
    private const uint Slack = PermillePerStep / 2;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly DrainPublisher _metadata;
    private readonly IReplicaControl _control;
    private readonly ITimer _timer;
    private uint _published;

    public KvPressurePublisher(DrainPublisher metadata, IReplicaControl control, TimeProvider time)
    {
        (_metadata, _control) = (metadata, control);
        _timer = time.CreateTimer(_ => Look(), null, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        var permille = _control.Report().KvUsedPermille;
        var step = Math.Min(permille / PermillePerStep, Most);
        if (step == _published || (step < _published && permille + Slack >= _published * PermillePerStep))
            return;
        _published = step;
        _metadata.Update(metadata => metadata.KvEighths = step);
    }
}
