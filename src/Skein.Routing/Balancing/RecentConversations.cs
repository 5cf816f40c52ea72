namespace Skein.Routing.Balancing;

/// <summary>
/// The conversations that came within about a minute, as long as they are few, each with the replica of its last request. A conversation is known by its
/// session key, else by its prompt: the next one begins with all of the last one. Used under the admission lock.
/// </summary>
internal sealed class RecentConversations
{
    /// <summary>More are not told apart.</summary>
    public const int Most = 64;

    /// <summary>A turn adds no more prefixes than this, as a rule: those before them are not looked up.</summary>
    private const int AddedByTurn = 16;

    private static readonly long WindowTicks = TimeSpan.FromMinutes(1).Ticks;

    private readonly ulong[] _keys = new ulong[Most];
    private readonly ulong[] _homes = new ulong[Most];
    private readonly long[] _windows = new long[Most];
    private long _window;
    private int _known;
    private int _ofWindow;
    private int _ofLastWindow;

    /// <summary>Conversations that came within one to two minutes, with that of this pick; <see cref="Most"/> also stands for more.</summary>
    /// <param name="home"><see cref="Fleet.Replica.NameHash"/> of the replica of this pick's conversation; 0: unknown.</param>
    public int Count(in PickContext context, out ulong home)
    {
        Advance(context.Now);
        var count = Math.Max(_ofWindow, _ofLastWindow);
        home = 0;
        if (count >= Most)
            return count;
        var found = Find(context);
        if (found < 0)
            return Math.Max(count, _ofWindow + 1);
        home = _homes[found];
        return count;
    }

    /// <summary>The pick was used.</summary>
    public void Used(in PickContext context, ulong home)
    {
        Advance(context.Now);
        if (_ofWindow >= Most || KeyOf(context) is not { } key)
            return;
        var i = Find(context);
        if (i < 0)
        {
            i = _known < Most ? _known++ : Oldest();
            _windows[i] = -1;
        }
        if (_windows[i] != _window)
            _ofWindow++;
        (_keys[i], _homes[i], _windows[i]) = (key, home, _window);
    }

    private static ulong? KeyOf(in PickContext context) =>
        context.SessionKey.Length > 0 ? StableHash.Of(context.SessionKey) : context.PrefixHashes.Length > 0 ? context.PrefixHashes[^1] : null;

    private int Find(in PickContext context)
    {
        var keys = _keys.AsSpan(0, _known);
        if (context.SessionKey.Length > 0)
            return keys.IndexOf(StableHash.Of(context.SessionKey));
        var prefixes = context.PrefixHashes;
        for (var i = prefixes.Length - 1; i >= Math.Max(0, prefixes.Length - AddedByTurn); i--)
        {
            var found = keys.IndexOf(prefixes[i]);
            if (found >= 0)
                return found;
        }
        return -1;
    }

    private int Oldest()
    {
        var oldest = 0;
        for (var i = 1; i < Most; i++)
        {
            if (_windows[i] < _windows[oldest])
                oldest = i;
        }
        return oldest;
    }

    private void Advance(TimeSpan now)
    {
        var window = now.Ticks / WindowTicks;
        if (window == _window)
            return;
        (_ofLastWindow, _ofWindow) = (window == _window + 1 ? _ofWindow : 0, 0);
        _window = window;
    }
}
