using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Google.Protobuf;
using Skein.Engines;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Links;

/// <summary>An engine whose generations send the frames that the test gives. The prompt's text names the generation.</summary>
internal sealed class KeyedEngine : IInferenceEngine
{
    private readonly ConcurrentDictionary<string, Generation> _generations = new(StringComparer.Ordinal);

    public string Kind => "keyed";

    public int Slots { get; init; } = 64;

    /// <summary>Answers liveness checks. Default: at once.</summary>
    public Func<CancellationToken, Task>? Check { get; set; }

    public static GenerateFrame Start => new() { Start = new Start { Model = "m", Unit = TokenUnit.Token } };

    public static GenerateFrame Finish => new() { Finish = new Finish { Reason = FinishReason.Length } };

    public static GenerateFrame Token(uint index, int textBytes = 1) =>
        new() { FirstIndex = index, Count = 1, TokenIds = { index }, Text = ByteString.CopyFromUtf8(new string('x', textBytes)) };

    public Generation Of(string prompt) => _generations.GetOrAdd(prompt, _ => new Generation());

    public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(new EngineDescription([new ModelDescription { Name = "m" }], Slots));

    public async ValueTask CheckAsync(CancellationToken cancellationToken) => await (Check?.Invoke(cancellationToken) ?? Task.CompletedTask);

    /// <summary>Answers calls that are not generation.</summary>
    public Func<InvokeRequest, CancellationToken, IAsyncEnumerable<InvokeFrame>>? Invoke { get; init; }

    public IAsyncEnumerable<InvokeFrame> InvokeAsync(InvokeRequest request, CancellationToken cancellationToken) => Invoke!(request, cancellationToken);

    /// <summary>Requests so far.</summary>
    public ConcurrentQueue<GenerateRequest> Asked { get; } = [];

    public IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, CancellationToken cancellationToken)
    {
        Asked.Enqueue(request);
        return Of(request.Text).RunAsync(cancellationToken);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    internal sealed class Generation
    {
        private readonly Channel<GenerateFrame> _script = Channel.CreateUnbounded<GenerateFrame>();
        private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _said;

        /// <summary>Completes when the engine has stopped working on it.</summary>
        public Task Stopped => _stopped.Task.WaitAsync(LinkWorld.Deadline);

        /// <summary>Number of frames that were requested from the engine.</summary>
        public int Said => Volatile.Read(ref _said);

        public void Say(params ReadOnlySpan<GenerateFrame> frames)
        {
            foreach (var frame in frames)
                _script.Writer.TryWrite(frame);
        }

        public void End(Exception? failure = null) => _script.Writer.Complete(failure);

        public async IAsyncEnumerable<GenerateFrame> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            try
            {
                await foreach (var frame in _script.Reader.ReadAllAsync(cancellationToken))
                {
                    Interlocked.Increment(ref _said);
                    yield return frame;
                    if (frame.Finish is not null)
                        yield break;
                }
            }
            finally
            {
                _stopped.TrySetResult();
            }
        }
    }
}
