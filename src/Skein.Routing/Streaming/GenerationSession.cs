using System.Collections.Immutable;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>Owns a request from first byte to last: its branches, their common output, and its single end.</summary>
internal sealed partial class GenerationSession : IGenerationSession
{
    private readonly string _requestId;
    private readonly SessionServices _services;
    private readonly ILogger _logger;
    private readonly Action<GenerationSession> _onClosed;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _branches;
    private readonly ITimer? _deadline;
    private readonly Activity? _trace = RequestTrace.Current;
    private ImmutableList<Failover> _failovers = [];
    private long _waitedTicks;
    private volatile string? _replica;
    private volatile int _resumeTier;
    private readonly int _choices;
    private int _queued;
    private int _attempts;
    private int _retries;
    private int _disposed;

    internal GenerationSession(
        string id, GenerateRequest request, IReadOnlyList<CompletionPrompt>? prompts, long arrival, RequestTraits traits, bool isSeeded,
        SessionServices services, ILogger logger, Action<GenerationSession> onClosed)
    {
        IsSeeded = isSeeded;
        _onClosed = onClosed;
        Id = id;
        _requestId = request.RequestId;
        _services = services;
        _logger = logger;
        var choices = _choices = Math.Max(1, (int)request.N) * (prompts?.Count ?? 1);
        request.Session = id;
        Output = new SessionOutput(choices, services.Options, services.Time);
        var running = new Task[choices];
        for (var choice = 0; choice < choices; choice++)
        {
            var place = new Arrival(request.Priority, arrival, choice) { At = services.Admission.Now };
            var branch = new Branch(services, RequestOf(request, prompts, choice), place, traits, this);
            running[choice] = RunAsync(branch, prompts is null ? null : choice / Math.Max(1, (int)request.N));
        }
        _branches = Task.WhenAll(running);
        if (request.HasDeadlineMs)
        {
            var (model, allowed) = (request.Model, TimeSpan.FromMilliseconds(request.DeadlineMs));
            _deadline = services.Time.CreateTimer(_ => PastDeadline(model, allowed), null, allowed, Timeout.InfiniteTimeSpan);
        }
    }

    public string Id { get; }

    public string? Replica => _replica;

    public int Attempts => Volatile.Read(ref _attempts);

    public bool IsQueued => Volatile.Read(ref _queued) == _choices;

    public IReadOnlyList<Failover> Failovers => Volatile.Read(ref _failovers);

    public ResumeTier ResumeTier => (ResumeTier)_resumeTier;

    public TimeSpan Waited => TimeSpan.FromTicks(Interlocked.Read(ref _waitedTicks));

    internal SessionOutput Output { get; }

    /// <summary>Whether the client chose the seed: it expects the same answer each time.</summary>
    internal bool IsSeeded { get; }

    public ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken) => Output.WaitToReadAsync(cancellationToken);

    public bool TryRead([NotNullWhen(true)] out GenerateFrame? frame) => Output.TryRead(out frame);

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _stop.Cancel();
        if (_deadline is not null)
            await _deadline.DisposeAsync();
        await _branches;
        _stop.Dispose();
        _services.Statistics.SessionClosed();
        _onClosed(this);
    }

    /// <summary>A choice asks for a slot, until it is dispatched or ends.</summary>
    internal void Queued() => Interlocked.Increment(ref _queued);

    /// <summary>A choice found no free slot and waits.</summary>
    internal void Waits(int choice) => RequestTrace.Queued(_trace, choice);

    /// <summary>A choice got a slot.</summary>
    /// <param name="waited">Since it asked for this slot.</param>
    /// <param name="allWaited">For all its slots together.</param>
    internal void Picked(int choice, string replica, TimeSpan waited, TimeSpan allWaited)
    {
        InterlockedMax(ref _waitedTicks, allWaited.Ticks);
        RequestTrace.Picked(_trace, choice, replica, waited);
    }

    internal void FirstToken(int choice, string replica) => RequestTrace.FirstToken(_trace, choice, replica);

    internal void LeftQueue() => Interlocked.Decrement(ref _queued);

    internal void Dispatched(int choice, string replica)
    {
        Interlocked.Increment(ref _attempts);
        if (choice == 0)
            _replica = replica;
    }

    /// <returns>False when the request has used its share of the gateway's retries after engine faults.</returns>
    internal bool TrySpendRetry() => Interlocked.Increment(ref _retries) <= _services.Options.RetriesPerRequest;

    internal void Forward(GenerateFrame frame, ResumeTier tier)
    {
        _resumeTier = (int)tier;
        Output.Write(frame);
    }

    internal void FailedOver(Failover failover, ReplicaId from)
    {
        ImmutableInterlocked.Update(ref _failovers, (list, added) => list.Add(added), failover);
        _services.Statistics.Note(_services.Time.GetUtcNow(), _requestId, failover);
        RequestTrace.FailedOver(_trace, failover);
        Log.FailedOver(_logger, Id, _requestId, failover.Choice, failover.TokenIndex, from, failover.Reason);
    }

    internal void Faulted(int choice, ReplicaId replica, FaultException fault) => Log.Faulted(_logger, Id, _requestId, choice, replica, fault.Message);

    internal void Abandoned(int choice, ReplicaId replica, int tokenIndex, Fault reason) =>
        Log.Abandoned(_logger, Id, _requestId, choice, replica, tokenIndex, reason.ToWireName());

    internal void Violated(int choice, ReplicaId replica, string violation) => Log.Violated(_logger, Id, _requestId, choice, replica, violation);

    private static void InterlockedMax(ref long target, long value)
    {
        var before = Interlocked.Read(ref target);
        while (value > before && Interlocked.CompareExchange(ref target, value, before) is var seen && seen != before)
            before = seen;
    }

    /// <summary>
    /// A branch's own request, with its own seed: the request's and the number of the choice, as servers count, so that answers are the same with and without
    /// Skein.
    /// </summary>
    private static GenerateRequest RequestOf(GenerateRequest request, IReadOnlyList<CompletionPrompt>? prompts, int choice)
    {
        var (prompt, number) = Math.DivRem(choice, Math.Max(1, (int)request.N));
        var own = request.N <= 1 && prompts is null ? request : request.Clone();
        own.N = 1;
        own.Choice = (uint)choice;
        prompts?[prompt].WriteTo(own);
        if (number > 0)
            own.Sampling.Seed = unchecked(request.Sampling.Seed + (ulong)number);
        return own;
    }

    /// <summary>A waiter is told when to come back, as others that the queue could not serve.</summary>
    private void PastDeadline(string model, TimeSpan allowed) => End(IsQueued
        ? new FaultException(
            Fault.DeadlineExceeded, $"no slot for model '{model}' came free within the deadline of the request, {allowed.TotalMilliseconds:0} ms",
            retryAfter: _services.Admission.PastDeadline(model))
        : new FaultException(Fault.DeadlineExceeded, $"the answer was not complete within the deadline of the request, {allowed.TotalMilliseconds:0} ms"));

    /// <param name="prompt">Which of several prompts it answers; null: there is one.</param>
    private async Task RunAsync(Branch branch, int? prompt)
    {
        try
        {
            await branch.RunAsync(_stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Disposed, or another branch ended the session with its own error, which counts.
            Output.Fail(new OperationCanceledException("the session was disposed"));
        }
        catch (FaultException error)
        {
            End(prompt is { } index ? OfPrompt(error, index) : error);
        }
        catch (Exception bug) when (bug is not OutOfMemoryException)
        {
            // The client must receive exactly one terminal event, even after a bug.
            Log.Bug(_logger, Id, _requestId, bug);
            End(new FaultException(Fault.StreamLost, "internal error in the gateway; its log has the details"));
        }
    }

    // A replica is asked for one prompt and names no other.
    private static FaultException OfPrompt(FaultException error, int index)
    {
        const string Prompt = "prompt", Ids = ".token_ids";
        if (error is not { Engine: null, Param: { } param } || !param.StartsWith(Prompt, StringComparison.Ordinal))
            return error;
        var place = param[Prompt.Length..];
        if (place.StartsWith(Ids, StringComparison.Ordinal))
            place = place[Ids.Length..];
        return place is "" or ['[', ..] ? error.ForMember(string.Create(CultureInfo.InvariantCulture, $"{Prompt}[{index}]{place}")) : error;
    }

    /// <summary>Ends the session with an error, unless it has ended.</summary>
    internal void End(FaultException error)
    {
        if (Output.Fail(error))
        {
            // What the client asked wrongly, and what it can ask again later, needs nobody's attention.
            var level = error.Fault.ToClientError().Http < 500 ? LogLevel.Information : LogLevel.Warning;
            Log.Ended(_logger, level, Id, _requestId, error.Fault, error.Message);
        }
        _stop.CancelUnlessDisposed();
    }

    private static partial class Log
    {
        [LoggerMessage(
            3200, LogLevel.Information, "Request {RequestId} (session {Session}), choice {Choice}: left {Replica} at token {TokenIndex}: {Reason}")]
        public static partial void FailedOver(ILogger logger, string session, string requestId, int choice, int tokenIndex, ReplicaId replica, string reason);

        [LoggerMessage(3201, LogLevel.Debug, "Request {RequestId} (session {Session}), choice {Choice}: the attempt on {Replica} ended: {Message}")]
        public static partial void Faulted(ILogger logger, string session, string requestId, int choice, ReplicaId replica, string message);

        [LoggerMessage(3202, LogLevel.Warning, "Request {RequestId} (session {Session}), choice {Choice}: {Replica} broke the protocol: {Violation}")]
        public static partial void Violated(ILogger logger, string session, string requestId, int choice, ReplicaId replica, string violation);

        [LoggerMessage(EventId = 3203, Message = "Request {RequestId} (session {Session}) ended with an error ({Fault}): {Message}")]
        public static partial void Ended(ILogger logger, LogLevel level, string session, string requestId, Fault fault, string message);

        [LoggerMessage(
            3205, LogLevel.Information,
            "Request {RequestId} (session {Session}), choice {Choice}: lost on {Replica} at token {TokenIndex}: {Reason}. It is not tried again")]
        public static partial void Abandoned(
            ILogger logger, string session, string requestId, int choice, ReplicaId replica, int tokenIndex, string reason);

        [LoggerMessage(3204, LogLevel.Error, "Request {RequestId} (session {Session}): unexpected exception")]
        public static partial void Bug(ILogger logger, string session, string requestId, Exception exception);
    }
}
