namespace Skein.Membership.Core;

/// <summary>All live members in the order of their ids, closed to a ring: who looks after whom, agreed on without a word.</summary>
internal static class Ring
{
    /// <summary>
    /// Fills <paramref name="successors"/> with the members that follow <paramref name="id"/> on the ring, the next one first; answers how
    /// many there are.
    /// </summary>
    public static int Successors(ArraySegment<MemberRecord> live, ulong id, Span<MemberRecord> successors)
    {
        var count = 0;
        for (var i = 0; i < live.Count; i++)
        {
            var candidate = live[i];
            var place = count;
            // The distance on the ring, with its wrap, is the difference of unsigned numbers.
            while (place > 0 && candidate.Id - id < successors[place - 1].Id - id)
                place--;
            if (place == successors.Length)
                continue;
            count = Math.Min(count + 1, successors.Length);
            for (var j = count - 1; j > place; j--)
                successors[j] = successors[j - 1];
            successors[place] = candidate;
        }
        return count;
    }
}
