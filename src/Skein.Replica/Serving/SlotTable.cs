using Skein.Protocol.V1;

namespace Skein.Replica.Serving;

internal enum SlotAnswer
{
    Granted,
    Full,
    Draining,
}

/// <summary>
/// Who holds the replica's slots. One short lock around all of it, so that every report is one moment's truth and reports are numbered in
/// the order of the changes they tell.
/// </summary>
internal sealed class SlotTable(ulong generation)
{
    // Callers beyond these share one row: names come from outside and must not fill the memory.
    private const int MostCallers = 1024;
    private const string OtherCallers = "";

    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _byCaller = new(StringComparer.Ordinal);
    private ulong _generation = generation;
    private ulong _sequence;
    private int _slots;
    private int _running;
    private uint _kvUsedPermille;
    private bool _draining;
    private TaskCompletionSource? _idle;

    public int Slots => Volatile.Read(ref _slots);

    /// <summary>Slots in use, by anyone.</summary>
    public int Running => Volatile.Read(ref _running);

    public bool IsDraining => Volatile.Read(ref _draining);

    public void SetSlots(int slots) => Volatile.Write(ref _slots, slots);

    /// <summary>What reports tell of the engine's KV cache; null: unknown.</summary>
    public void SetKvUsed(int? permille) => Volatile.Write(ref _kvUsedPermille, (uint)Math.Clamp(permille ?? 0, 0, 1000));

    public void SetGeneration(ulong generation)
    {
        lock (_gate)
        {
            _generation = Math.Max(_generation, generation);
        }
    }

    /// <summary>Refuses new work, or takes it again.</summary>
    public void SetDraining(bool draining)
    {
        lock (_gate)
        {
            _draining = draining;
        }
    }

    public Task WhenIdleAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_running == 0)
            {
                return Task.CompletedTask;
            }

            _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _idle.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Takes a slot, if one is free. <paramref name="lease"/> is null unless granted.</summary>
    public SlotAnswer TryTake(string caller, out SlotLease? lease)
    {
        lease = null;
        lock (_gate)
        {
            if (_draining)
            {
                return SlotAnswer.Draining;
            }

            if (_running >= _slots)
            {
                return SlotAnswer.Full;
            }

            var row = _byCaller.ContainsKey(caller) || _byCaller.Count < MostCallers ? caller : OtherCallers;
            _byCaller[row] = _byCaller.GetValueOrDefault(row) + 1;
            _running++;
            lease = new SlotLease(this, row);
            return SlotAnswer.Granted;
        }
    }

    /// <summary>As <see cref="IReplicaControl.Report"/>.</summary>
    public LoadReport Report(string caller = "")
    {
        lock (_gate)
        {
            return new LoadReport
            {
                Generation = _generation,
                Sequence = ++_sequence,
                Slots = (uint)_slots,
                Running = (uint)_running,
                RunningForCaller = caller.Length == 0 ? 0 : (uint)_byCaller.GetValueOrDefault(caller),
                KvUsedPermille = _kvUsedPermille,
                Draining = _draining,
            };
        }
    }

    /// <summary>Called by the lease alone, once.</summary>
    public void Release(string row)
    {
        lock (_gate)
        {
            _running--;
            if (--_byCaller[row] == 0)
            {
                _byCaller.Remove(row);
            }

            if (_running == 0)
            {
                _idle?.SetResult();
                _idle = null;
            }
        }
    }
}

/// <summary>One slot in use; given back by the first dispose, whoever calls it.</summary>
internal sealed class SlotLease(SlotTable table, string row) : IDisposable
{
    private int _released;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _released, 1) == 0)
        {
            table.Release(row);
        }
    }
}
