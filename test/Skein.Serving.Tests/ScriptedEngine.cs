using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Google.Protobuf;
using Skein.Engines;
using Skein.Protocol.V1;

namespace Skein.Serving.Tests;

/// <summary>An engine that sends the frames that a test gives, one generation at a time, and reports when it stops.</summary>
internal sealed class ScriptedEngine : IInferenceEngine
{
    private readonly Channel<GenerateFrame> _script = Channel.CreateUnbounded<GenerateFrame>();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Kind => "scripted";

    public int? Slots { get; init; }

    /// <summary>Answers to load queries. Default: it does not report its load.</summary>
    public Func<EngineLoad>? Load { get; init; }

    /// <summary>Answers to liveness checks. Default: it is alive.</summary>
    public Func<CancellationToken, Task>? Check { get; init; }

    /// <summary>Completes when a generation has ended in any way.</summary>
    public Task Stopped => _stopped.Task;

    public static GenerateFrame StartFrame => new() { Start = new Start { Model = "m", Unit = TokenUnit.Token } };

    public static GenerateFrame FinishFrame => new() { Finish = new Finish { Reason = FinishReason.Length } };

    public static GenerateFrame Token(uint index, string text = "x") =>
        new() { FirstIndex = index, Count = 1, TokenIds = { index }, Text = ByteString.CopyFromUtf8(text) };

    /// <summary>Adds the next frame of the generation.</summary>
    public void Say(params ReadOnlySpan<GenerateFrame> frames)
    {
        foreach (var frame in frames)
        {
            _script.Writer.TryWrite(frame);
        }
    }

    /// <summary>Ends the script; with an exception, the engine fails with it.</summary>
    public void End(Exception? failure = null) => _script.Writer.Complete(failure);

    public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(new EngineDescription([new ModelDescription { Name = "m", Fingerprint = "f" }], Slots));

    public async ValueTask CheckAsync(CancellationToken cancellationToken) => await (Check?.Invoke(cancellationToken) ?? Task.CompletedTask);

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        try
        {
            while (await _script.Reader.WaitToReadAsync(cancellationToken))
            {
                while (_script.Reader.TryRead(out var frame))
                {
                    yield return frame;
                    if (frame.Finish is not null)
                    {
                        yield break;
                    }
                }
            }
        }
        finally
        {
            _stopped.TrySetResult();
        }
    }

    public ValueTask<EngineLoad> LoadAsync(CancellationToken cancellationToken) => ValueTask.FromResult(Load?.Invoke() ?? EngineLoad.Unknown);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
