namespace Skein.Load.Chaos.Servers;

/// <summary>
/// Asks questions of all kinds in rounds, and injects a fault into a server in the middle of each round. Every answer is compared with the one that came
/// without a fault.
/// </summary>
public sealed class ServerChaosRun(ServerChaosOptions options, IChaosServers servers, TimeProvider time, Action<InjectedFault> onFault)
{
    /// <summary>From this number of events on, the moment of the fault is an event; below, it is a time.</summary>
    private const int ManyEvents = 10;

    // Longer than the gateway needs to recognise a server that is frozen.
    private static readonly TimeSpan LongestFault = TimeSpan.FromSeconds(6);

    // From this part of its usual time on, an answer whose tokens the client does not see is in its middle.
    private const double Begun = 0.1;

    private readonly Dictionary<string, int> _faults = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _faultsInVain = new(StringComparer.Ordinal);
    private readonly Random _random = new(options.Seed);
    private readonly ServerChaosTally _tally = new(options.IsInexact);

    /// <summary>Asks for the undisturbed answers, twice, then injects faults until the duration or the number of faults is reached. Call once.</summary>
    /// <param name="cancellationToken">Ends the run without a report.</param>
    /// <exception cref="ArgumentException">A setting is out of its range, or a fault is not possible.</exception>
    /// <exception cref="BenchException">No kind of request is served.</exception>
    /// <exception cref="ChaosException">A server did not recover.</exception>
    public async Task<ServerChaosReport> RunAsync(CancellationToken cancellationToken)
    {
        options.Validate();
        var kinds = options.Kinds ?? servers.Kinds;
        foreach (var kind in kinds)
            OptionGuard.Require(servers.Kinds.Contains(kind), nameof(options.Kinds), kind, string.Join(", ", servers.Kinds));
        using var client = new QuestionClient(options, time);
        var model = await client.FirstModelAsync(cancellationToken);
        var questions = await AskUndisturbedAsync(client, model, cancellationToken);
        var plan = new FaultPlan(kinds, leftAlone: 0, options.Seed) { Longest = LongestFault };
        var deck = new Queue<KnownQuestion>();
        var start = time.GetTimestamp();
        while (time.GetElapsedTime(start) < options.Duration && _faults.Values.Sum() < options.MaxFaults)
        {
            var round = new List<KnownQuestion>(options.Streams);
            while (round.Count < options.Streams)
            {
                if (deck.Count == 0)
                    Refill(deck, questions);
                round.Add(deck.Dequeue());
            }

            await RunRoundAsync(client, round, plan, cancellationToken);
        }

        return _tally.ToReport(model, options, time.GetElapsedTime(start), _faults, _faultsInVain);
    }

    private async Task<List<KnownQuestion>> AskUndisturbedAsync(QuestionClient client, string model, CancellationToken cancellationToken)
    {
        var asked = options.Requests.SelectMany(kind => BenchPrompts.Create(options.Questions).Select(prompt => (Kind: kind, Prompt: prompt))).ToList();
        var known = new KnownQuestion?[asked.Count];
        using var turns = new SemaphoreSlim(options.Streams);
        await Task.WhenAll(asked.Select(async (question, i) =>
        {
            await turns.WaitAsync(cancellationToken);
            try
            {
                known[i] = await LearnAsync(client, model, question.Kind, question.Prompt, cancellationToken);
            }
            finally
            {
                turns.Release();
            }
        }));
        List<KnownQuestion> questions = [.. known.OfType<KnownQuestion>()];
        return questions.Count > 0 ? questions : throw new BenchException($"no kind of request is served without a fault; {_tally.FirstRemark}");
    }

    /// <summary>Null: the question is not served, or its answer is another one each time.</summary>
    private async Task<KnownQuestion?> LearnAsync(QuestionClient client, string model, QuestionKind kind, string prompt, CancellationToken cancellationToken)
    {
        string? stop = null;
        if (kind.HasStop)
        {
            var plain = await client.AskAsync(kind, BodyOf(null), new ArrivingAnswer { Awaited = 0 }, cancellationToken);
            stop = StopIn(plain.Parts.Text);
        }

        var body = BodyOf(stop);
        var first = await client.AskAsync(kind, body, new ArrivingAnswer { Awaited = 0 }, cancellationToken);
        var second = await client.AskAsync(kind, body, new ArrivingAnswer { Awaited = 0 }, cancellationToken);
        if ((first.Error ?? second.Error) is { } error)
        {
            _tally.AddNotCompared(kind, $"not served: {error}");
            return null;
        }

        if (second.Parts.DifferenceFrom(first.Parts) is { } difference)
        {
            _tally.AddNotCompared(kind, $"not compared, other answers without a fault: {difference}");
            return null;
        }

        _tally.AddReference(kind, first);
        return new KnownQuestion(kind, body, second);

        string BodyOf(string? text) => kind.BodyOf(model, prompt, options.MaxTokens, text, options.Extra);
    }

    /// <summary>A part of a text, from beyond its middle; null: it is too short.</summary>
    private static string? StopIn(string text)
    {
        const int Length = 5;
        for (var at = text.Length * 3 / 5; at + Length <= text.Length; at++)
        {
            var part = text.AsSpan(at, Length);
            if (!part.ContainsAnyInRange('\uD800', '\uDFFF') && !part.Contains('\uFFFD') && !part.IsWhiteSpace())
                return part.ToString();
        }

        return null;
    }

    private void Refill(Queue<KnownQuestion> deck, List<KnownQuestion> questions)
    {
        KnownQuestion[] shuffled = [.. questions];
        _random.Shuffle(shuffled);
        foreach (var question in shuffled)
            deck.Enqueue(question);
    }

    private async Task RunRoundAsync(QuestionClient client, List<KnownQuestion> round, FaultPlan plan, CancellationToken cancellationToken)
    {
        // The fault is timed by one of the answers: by its events, or where it has few, by the time that it takes.
        var leader = _random.Next(round.Count);
        var usual = round[leader].Reference;
        var moment = usual.Events >= ManyEvents ? _random.Next(1, usual.Events) : 0;
        var delay = usual.Duration * _random.NextDouble();
        ArrivingAnswer[] arriving = [.. round.Select((_, i) => new ArrivingAnswer { Awaited = i == leader ? moment : 0 })];
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<ReceivedAnswer>[] answers = [.. round.Select((question, i) => client.AskAsync(question.Kind, question.Body, arriving[i], failed.Token))];
        string name;
        long faultAt;
        try
        {
            await Task.WhenAny(moment > 0 ? arriving[leader].WhenReached : Task.Delay(delay, time, cancellationToken), answers[leader]);
            var server = await ServerOfAsync(arriving[leader], cancellationToken);
            var fault = plan.Next([server])!;
            // A cut needs no time to be recognised.
            fault = fault.Kind == FaultKind.Cut ? fault with { Duration = fault.Duration / 4 } : fault;
            name = ChaosRun.NameOf(fault.Kind);
            onFault(fault);
            faultAt = time.GetTimestamp();
            await servers.InjectAsync(fault, cancellationToken);
        }
        catch
        {
            await failed.CancelAsync();
            throw;
        }
        finally
        {
            await ((Task)Task.WhenAll(answers)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        var wasLost = false;
        for (var i = 0; i < round.Count; i++)
        {
            var answer = await answers[i];
            var isLost = answer.Failovers > 0 && IsInMiddle(round[i], answer, faultAt);
            wasLost |= isLost;
            _tally.Add(round[i].Kind, round[i].Reference, answer, isLost ? name : null);
        }

        var counts = wasLost ? _faults : _faultsInVain;
        counts[name] = counts.GetValueOrDefault(name) + 1;
    }

    /// <summary>Whether an answer had begun when its server failed. Of an answer that comes as a whole, or whose call is held, only the time says so.</summary>
    private bool IsInMiddle(KnownQuestion question, ReceivedAnswer answer, long faultAt) => question.Reference.Events >= ManyEvents
        ? answer.HadTokens
        : time.GetElapsedTime(answer.Start, faultAt) >= question.Reference.Duration * Begun;

    private async Task<string> ServerOfAsync(ArrivingAnswer leader, CancellationToken cancellationToken)
    {
        if (leader.Server is { } server && servers.Names.Contains(server))
            return server;
        var busy = await servers.BusyAsync(cancellationToken);
        return busy.Count > 0 ? busy[_random.Next(busy.Count)] : servers.Names[_random.Next(servers.Names.Count)];
    }

    /// <param name="Reference">Its answer without a fault.</param>
    private sealed record KnownQuestion(QuestionKind Kind, string Body, ReceivedAnswer Reference);
}
