using System.Globalization;
using Skein.Load.Measuring;

namespace Skein.Load.Chaos.Servers;

/// <summary>Counts how answers came out. Thread-safe.</summary>
internal sealed class ServerChaosTally(bool isInexact)
{
    private const int MostExamples = 20;
    private const int MostExampleChars = 300;

    // Tiers that promise an equal distribution or a continued text, not the same answer.
    private static readonly string[] LooseTiers = ["tokens", "text"];

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Row> _rows = new(StringComparer.Ordinal);
    private readonly List<string> _examples = [];
    private readonly LatencyHistogram _gaps = new();
    private int _undisturbed;
    private int _undisturbedDiffer;
    private int _early;
    private int _earlyDiffer;

    /// <summary>The first remark on a kind that is not compared; empty: there is none.</summary>
    public string FirstRemark
    {
        get
        {
            lock (_gate)
                return _rows.Values.Select(row => row.NotCompared).FirstOrDefault(remark => remark.Length > 0) ?? "";
        }
    }

    public void AddNotCompared(QuestionKind kind, string remark)
    {
        lock (_gate)
        {
            var row = RowOf(kind);
            row.NotCompared = row.NotCompared.Length > 0 ? row.NotCompared : Short(remark);
        }
    }

    public void AddReference(QuestionKind kind, ReceivedAnswer answer)
    {
        lock (_gate)
        {
            var row = RowOf(kind);
            row.References++;
            row.Reasoned += answer.Parts.HasReasoning ? 1 : 0;
            row.Called += answer.Parts.HasCalls ? 1 : 0;
            row.Tiers.Add(answer.Tier);
        }
    }

    /// <param name="lostBy">Name of the fault that it lost its server by in the middle; null: it did not, or before its first token.</param>
    public void Add(QuestionKind kind, ReceivedAnswer reference, ReceivedAnswer answer, string? lostBy)
    {
        lock (_gate)
        {
            var row = RowOf(kind);
            if (answer.Tier.Length > 0)
                row.Tiers.Add(answer.Tier);
            var difference = answer.Error is null ? answer.Parts.DifferenceFrom(reference.Parts) : null;
            var isAllowed = difference is null || (answer.Failovers > 0 && LooseTiers.Contains(answer.Tier) && (isInexact || kind.IsSampled));
            if ((answer.Error ?? (isAllowed ? null : difference)) is { } problem && _examples.Count < MostExamples)
                _examples.Add(Short(string.Create(CultureInfo.InvariantCulture, $"{kind.Name}, tier {answer.Tier}, {answer.Failovers} failovers: {problem}")));
            if (answer is { Failovers: 0, Error: null })
            {
                _undisturbed++;
                _undisturbedDiffer += difference is null ? 0 : 1;
                return;
            }

            _gaps.Add(answer.LongestGap);
            if (lostBy is null && answer.Error is null)
            {
                _early++;
                _earlyDiffer += isAllowed ? 0 : 1;
                return;
            }

            row.Lost++;
            if (lostBy is not null)
                row.LostBy[lostBy] = row.LostBy.GetValueOrDefault(lostBy) + 1;
            if (answer.Error is not null)
                row.Errors++;
            else if (difference is null)
                row.Equal++;
            else
                row.Differ++;
            row.WrongDiffers += isAllowed ? 0 : 1;
        }
    }

    /// <param name="faults">Faults by which an answer lost its server in the middle, by kind.</param>
    /// <param name="inVain">The other ones.</param>
    public ServerChaosReport ToReport(
        string model, ServerChaosOptions options, TimeSpan duration, IReadOnlyDictionary<string, int> faults, IReadOnlyDictionary<string, int> inVain)
    {
        lock (_gate)
        {
            var rows = options.Requests.Select(kind => RowOf(kind)).ToList();
            var failures = new List<string>();
            AddFailure(rows.Sum(row => row.Errors), "lost answers ended in an error");
            AddFailure(rows.Sum(row => row.WrongDiffers), "lost answers differ from the undisturbed ones");
            AddFailure(_earlyDiffer, "answers differ that lost their server before their first token");
            AddFailure(isInexact ? 0 : _undisturbedDiffer, "answers differ that did not lose their server");
            if (rows.Sum(row => row.Lost) == 0)
                failures.Add("no answer lost its server in the middle: the run proves nothing; use longer answers or more streams");
            return new ServerChaosReport(
                model, options.Seed, duration.TotalSeconds, Sorted(faults), Sorted(inVain),
                [.. options.Requests.Zip(rows, (kind, row) => row.ToReport(kind.Name))],
                _early, _earlyDiffer, _undisturbed, _undisturbedDiffer, _gaps.Summary, failures, [.. _examples]);

            void AddFailure(int count, string what)
            {
                if (count > 0)
                    failures.Add(string.Create(CultureInfo.InvariantCulture, $"{count} {what}"));
            }
        }
    }

    private static SortedDictionary<string, int> Sorted(IReadOnlyDictionary<string, int> counts) => new(counts.ToDictionary(), StringComparer.Ordinal);

    private static string Short(string text) => text.Length <= MostExampleChars ? text : string.Concat(text.AsSpan(0, MostExampleChars), "…");

    private Row RowOf(QuestionKind kind)
    {
        if (!_rows.TryGetValue(kind.Name, out var row))
            _rows[kind.Name] = row = new Row();
        return row;
    }

    private sealed class Row
    {
        public SortedSet<string> Tiers { get; } = new(StringComparer.Ordinal);

        public string NotCompared { get; set; } = "";

        public int References { get; set; }

        public int Reasoned { get; set; }

        public int Called { get; set; }

        public int Lost { get; set; }

        public Dictionary<string, int> LostBy { get; } = new(StringComparer.Ordinal);

        public int Equal { get; set; }

        public int Differ { get; set; }

        /// <summary>Those of <see cref="Differ"/> that their tier does not allow.</summary>
        public int WrongDiffers { get; set; }

        public int Errors { get; set; }

        public ServerChaosRow ToReport(string name)
        {
            string[] remarks =
            [
                Reasoned > 0 ? string.Create(CultureInfo.InvariantCulture, $"reasoning in {Reasoned} of {References} answers") : "",
                Called > 0 ? string.Create(CultureInfo.InvariantCulture, $"calls in {Called} of {References}") : "",
                NotCompared,
            ];
            var tiers = string.Join('/', Tiers.Where(tier => tier.Length > 0));
            return new ServerChaosRow(name, tiers, Sorted(LostBy), Lost, Equal, Differ, Errors, string.Join("; ", remarks.Where(text => text.Length > 0)));
        }
    }
}
