namespace Skein.Simulation.Membership.Scenarios;

/// <summary>Injects all faults at random for two minutes while the invariants are checked. Then the faults end, and the views must converge.</summary>
internal static class Storm
{
    private static readonly TimeSpan Length = TimeSpan.FromMinutes(2);

    public static IEnumerable<object[]> Rows(ScenarioSettings settings)
    {
        foreach (var members in settings.Sizes(5, 16, 48))
        {
            (var times, var faults, var runs) = (new Sample(), 0L, settings.Runs ?? 100);
            foreach (var world in settings.FormEach(runs, members))
            {
                var injector = new StormFaults(world);
                for (var end = world.Now + Length; world.Now < end; world.RunFor(world.Random.Next(2 * Scenario.Second)))
                    injector.Inject();
                faults += injector.Faults;
                injector.End();
                var start = world.Now;
                if (!world.RunUntil(world.Agree, 2 * settings.Options.FlapMemory))
                    world.Fail("the views do not become equal");
                times.Add(world.Now - start);
            }
            yield return [members, faults, .. times.Quantiles(0.5, 0.99, 1), runs];
        }
    }
}

/// <summary>Injects faults into one world. Each one affects a random member, link or half for up to ten seconds.</summary>
internal sealed class StormFaults
{
    private readonly MembershipWorld _world;
    private readonly Dictionary<(SimulatedMember From, SimulatedMember To), (LinkModel? Link, TimeSpan Until)> _links = [];
    private (int Border, TimeSpan Until) _partition;
    private bool _ended;

    public StormFaults(MembershipWorld world)
    {
        _world = world;
        world.Passes = Passes;
        world.LinkBetween = (from, to) => TryGetFault(from, to, out var link) ? link : null;
        world.Reported = Supervise;
    }

    public long Faults { get; private set; }

    public void Inject()
    {
        Faults++;
        SimulatedMember[] running = [.. _world.Running];
        var victim = running[_world.Random.Next(running.Length)];
        var other = running[_world.Random.Next(running.Length)];
        var until = _world.Now + _world.Random.Next(10 * Scenario.Second);
        switch (_world.Random.Next(9))
        {
            case 0:
                victim.RunsFrom = until;
                break;
            case 1:
                victim.ReceivesFrom = until;
                break;
            case 2:
                victim.SendsFrom = until;
                break;
            case 3:
                victim.HandlingTime = TimeSpan.FromMilliseconds(1 + _world.Random.Next(20));
                _world.At(until, () => victim.HandlingTime = TimeSpan.Zero);
                break;
            case 4:
                _links[(victim, other)] = (null, until);
                break;
            case 5:
                _links[(victim, other)] = (new LinkModel
                {
                    Latency = TimeSpan.FromMilliseconds(_world.Random.Next(200)), Jitter = TimeSpan.FromMilliseconds(1 + _world.Random.Next(100)),
                    LossPermille = _world.Random.Next(600), DuplicatePermille = _world.Random.Next(300),
                }, until);
                break;
            case 6:
                _world.Link = _world.Link with { LossPermille = _world.Random.Next(200), DuplicatePermille = _world.Random.Next(100) };
                break;
            case 7:
                _partition = (1 + _world.Random.Next(_world.Members.Count), until);
                break;
            default:
                Restart(victim);
                break;
        }
    }

    public void End()
    {
        _ended = true;
        _world.Link = new LinkModel();
        foreach (var member in _world.Members)
        {
            member.HandlingTime = TimeSpan.Zero;
            member.RunsFrom = member.ReceivesFrom = member.SendsFrom = TimeSpan.Zero;
        }
    }

    /// <summary>Restarts a member at the same or another address, also with a clock that is behind. The first two are seeds and keep their addresses.</summary>
    private void Restart(SimulatedMember victim)
    {
        victim.Crashed = true;
        var moves = victim.Name != _world.Members[0].Name && victim.Name != _world.Members[1].Name && _world.Random.Chance(500);
        var clockBack = _world.Random.Chance(300) ? TimeSpan.FromHours(1) : TimeSpan.Zero;
        _world.Start(victim.Name, moves ? null : victim, clockBack, _world.Members[0], _world.Members[1]);
    }

    /// <summary>A generation that missed its predecessor and whose clock was behind ends when it learns of it. A supervisor restarts it.</summary>
    private void Supervise(SimulatedMember member, CoreEvent what, MemberRecord about)
    {
        if (what is CoreEvent.Superseded or CoreEvent.NameTaken)
            _world.At(_world.Now + Scenario.Second, () => _world.Start(member.Name, member, _world.Members[0], _world.Members[1]));
    }

    private bool Passes(SimulatedMember from, SimulatedMember to)
    {
        var isCut = !_ended && _world.Now < _partition.Until && from.Index < _partition.Border != to.Index < _partition.Border;
        return !isCut && !(TryGetFault(from, to, out var link) && link is null);
    }

    private bool TryGetFault(SimulatedMember from, SimulatedMember to, out LinkModel? link)
    {
        link = null;
        if (_ended || !_links.TryGetValue((from, to), out var fault) || fault.Until <= _world.Now)
            return false;
        link = fault.Link;
        return true;
    }
}
