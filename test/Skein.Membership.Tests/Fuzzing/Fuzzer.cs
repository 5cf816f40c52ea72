using System.Text;
using Skein.Membership.Core;

namespace Skein.Membership.Tests.Fuzzing;

/// <summary>
/// Feeds mutated packets to a member, with a fresh member in each round. An input that causes new behaviour joins the corpus and is mutated
/// further. A failure is reduced to the inputs that it needs.
/// </summary>
/// <param name="newTarget">Creates a fresh member.</param>
/// <param name="seed">Equal seeds give equal inputs.</param>
/// <param name="disguise">Applied to each input before it is sent.</param>
internal sealed class Fuzzer(Func<FuzzTarget> newTarget, ulong seed, Func<byte[], byte[]> disguise)
{
    private readonly List<byte[]> _corpus = FuzzCorpus.Load();
    private readonly HashSet<ulong> _outcomes = [];
    private readonly SeededRandom _random = new(seed);
    private const int RoundLength = 256;

    /// <summary>Limit of the corpus; above it a new input replaces a random one.</summary>
    private const int MostInputs = 20_000;

    /// <summary>The first inputs that caused new behaviour.</summary>
    public List<byte[]> Finds { get; } = [];

    public long Inputs { get; private set; }

    public long Accepted { get; private set; }

    public int Outcomes => _outcomes.Count;

    /// <summary>Runs while the condition holds.</summary>
    public void Run(Func<bool> goOn)
    {
        foreach (var known in _corpus.ToArray().Chunk(RoundLength))
            Round(known.Length, i => known[i], keep: false);
        while (goOn())
            Round(RoundLength, _ => Mutator.Mutate(_corpus, _random), keep: true);
    }

    private void Round(int length, Func<int, byte[]> next, bool keep)
    {
        var target = newTarget();
        var inputs = new List<byte[]>(length);
        for (var i = 0; i < length && !target.IsOver; i++)
        {
            var input = next(i);
            inputs.Add(disguise(input));
            Inputs++;
            try
            {
                if (_outcomes.Add(target.Take(inputs[^1])) && keep)
                    Keep(input);
            }
            catch (Exception error)
            {
                throw new InvalidOperationException(Tell(inputs), error);
            }
        }
        Accepted += target.Accepted;
    }

    private void Keep(byte[] input)
    {
        if (Finds.Count < FuzzCorpus.MostFound)
            Finds.Add(input);
        if (_corpus.Count < MostInputs)
            _corpus.Add(input);
        else
            _corpus[_random.Next(MostInputs)] = input;
    }

    private string Tell(List<byte[]> inputs)
    {
        var text = new StringBuilder($"seed={seed}, input {Inputs}; on a fresh member it takes these, one after the other:\n");
        foreach (var input in Reduce(inputs))
            text.AppendLine(Convert.ToHexString(input));
        return text.ToString();
    }

    /// <summary>Removes the inputs that the failure does not need.</summary>
    private List<byte[]> Reduce(List<byte[]> inputs)
    {
        List<byte[]> needed = [.. inputs];
        for (var i = needed.Count - 2; i >= 0; i--)
        {
            List<byte[]> without = [.. needed];
            without.RemoveAt(i);
            if (Fails(without))
                needed = without;
        }
        return needed;
    }

    private bool Fails(List<byte[]> inputs)
    {
        var target = newTarget();
        try
        {
            inputs.ForEach(input => target.Take(input));
            return false;
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            return true;
        }
    }
}
