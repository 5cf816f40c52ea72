using System.Text;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Proofs;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible.Proofs;

public class ContinuationProverTests
{
    private static readonly string[] Story = [.. Enumerable.Range(0, 40).Select(index => $"word{index:00} ")];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ProveAsync_ServerContinues_IsProvenWithAFewTokens(bool isChat)
    {
        var server = new Server(Story);

        var proof = await ContinuationProver.ProveAsync(isChat, "m", server.GenerateAsync);

        Assert.Equal((true, ""), (proof.IsProven, proof.Reason));
        Assert.Equal(4, server.Asked.Count);
        Assert.InRange(server.Tokens, 20, 60);
        Assert.All(server.Asked, request => Assert.Equal((isChat, 0f), (request.Chat is not null, request.Sampling.Temperature)));
        Assert.Equal([0u, 5u, 10u, 15u], server.Asked.Select(request => request.Resume?.NextIndex ?? 0));
    }

    [Fact]
    public async Task ProveAsync_ServerStartsAnew_IsNot()
    {
        var proof = await ContinuationProver.ProveAsync(isChat: true, "m", new Server(Story) { Rest = (_, words) => words }.GenerateAsync);

        Assert.Equal((false, "it starts anew instead of continuing an answer"), (proof.IsProven, proof.Reason));
    }

    /// <summary>One of three continued answers may differ: a text is divided into tokens in another way at some places.</summary>
    [Theory]
    [InlineData(0, true)]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public async Task ProveAsync_ContinuedAnswersDiffer_AreProvenIfMostDoNot(int differing, bool isProven)
    {
        var left = differing;
        var server = new Server(Story) { Rest = (at, words) => left-- > 0 ? ["other "] : words[at..] };

        var proof = await ContinuationProver.ProveAsync(isChat: true, "m", server.GenerateAsync);

        Assert.Equal((isProven, differing == 0), (proof.IsProven, proof.IsExact));
        Assert.Equal(isProven ? "" : "2 of 3 continued answers differ from the undisturbed one", proof.Reason);
    }

    /// <summary>"la la la" goes on as it began.</summary>
    [Fact]
    public async Task ProveAsync_AnswerRepeatsItself_ASecondQuestionDecides()
    {
        var server = new Server(Story) { First = ["la "] };

        var proof = await ContinuationProver.ProveAsync(isChat: false, "m", server.GenerateAsync);

        Assert.True(proof.IsProven);
        Assert.Equal(ContinuationProver.Texts, server.Asked.Select(request => request.Text).Distinct());
    }

    [Theory]
    [InlineData("la ")]
    [InlineData("")]
    public async Task ProveAsync_AllAnswersShowNothing_IsNot(string word)
    {
        var server = new Server(word.Length > 0 ? [.. Enumerable.Repeat(word, 40)] : []);

        var proof = await ContinuationProver.ProveAsync(isChat: true, "m", server.GenerateAsync);

        Assert.False(proof.IsProven);
        Assert.Contains("too short, or repeat themselves", proof.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProveAsync_ServerReasons_IsNot()
    {
        var proof = await ContinuationProver.ProveAsync(isChat: true, "m", new Server(Story) { Reasons = true }.GenerateAsync);

        Assert.Contains("reasoning", proof.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProveAsync_ServerReasonsAndContinuesIt_IsProvenWhereThatCanBe()
    {
        var server = new Server(Story) { Reasons = true };

        Assert.True((await ContinuationProver.ProveAsync(isChat: true, "m", server.GenerateAsync, takesReasoning: true)).IsProven);
    }

    /// <summary>What a chat call does beyond generating: another answer, or the same one divided otherwise.</summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task ProveAsync_OtherWayAnswersOtherwise_IsNot(bool reasons, bool isOther)
    {
        var other = new Server(isOther ? ["other ", .. Story] : Story) { Reasons = reasons };

        var proof = await ContinuationProver.ProveAsync(isChat: true, "m", new Server(Story).GenerateAsync, takesReasoning: true, other.GenerateAsync);

        Assert.Equal((false, "its chat call answers otherwise than its calls for token ids"), (proof.IsProven, proof.Reason));
    }

    [Theory]
    [InlineData(Fault.Unsupported, false)]
    [InlineData(Fault.InvalidRequest, false)]
    [InlineData(Fault.ResumeRefused, true)]
    public async Task ProveAsync_ServerRefuses_IsNotAndSaysWhy(Fault fault, bool isResume)
    {
        var server = new Server(Story) { Fault = request => request.Resume is null == isResume ? null : new FaultException(fault, "no such call") };

        var proof = await ContinuationProver.ProveAsync(isChat: true, "m", server.GenerateAsync);

        Assert.Equal((false, "it refuses the call: no such call"), (proof.IsProven, proof.Reason));
    }

    [Theory]
    [InlineData(Fault.EngineBusy)]
    [InlineData(Fault.ConnectionLost)]
    public async Task ProveAsync_ServerFails_NothingIsKnown(Fault fault)
    {
        var server = new Server(Story) { Fault = request => request.Resume is null ? null : new FaultException(fault, "x") };

        await Assert.ThrowsAsync<FaultException>(() => ContinuationProver.ProveAsync(isChat: true, "m", server.GenerateAsync).AsTask());
    }

    /// <summary>Answers every question with the same words, one a token.</summary>
    private sealed class Server(string[] words)
    {
        public List<GenerateRequest> Asked { get; } = [];

        public int Tokens { get; private set; }

        /// <summary>The words after so many of them.</summary>
        public Func<int, string[], string[]> Rest { get; init; } = (at, words) => words[at..];

        /// <summary>The words of the answer to the first question, again and again.</summary>
        public string[]? First { get; init; }

        public bool Reasons { get; init; }

        public Func<GenerateRequest, FaultException?> Fault { get; init; } = _ => null;

        public async IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request)
        {
            await Task.CompletedTask;
            Asked.Add(request);
            if (Fault(request) is { } fault)
            {
                throw fault;
            }

            var all = First is not null && request.Text == ContinuationProver.Texts[0] ? [.. Enumerable.Repeat(First, 40).SelectMany(word => word)] : words;
            var at = request.Resume?.NextIndex ?? 0;
            if (!Reasons)
            {
                Assert.Equal(string.Concat(all.Take((int)at)), request.Resume?.Text.ToStringUtf8() ?? "");
            }

            yield return new GenerateFrame { FirstIndex = at, Start = new Start { ResumedAt = at, Fingerprint = "f" } };
            var rest = at == 0 ? all : Rest((int)at, all);
            foreach (var word in rest.Take((int)(request.MaxTokens - at)))
            {
                Tokens++;
                yield return Reasons
                    ? new GenerateFrame { FirstIndex = at++, Count = 1, RawDelta = ByteString.CopyFromUtf8($"{{\"reasoning_content\":\"{word}\"}}") }
                    : new GenerateFrame { FirstIndex = at++, Count = 1, Text = ByteString.CopyFrom(word, Encoding.UTF8) };
            }

            yield return new GenerateFrame { FirstIndex = at, Finish = new Finish { Reason = at < request.MaxTokens ? FinishReason.Stop : FinishReason.Length } };
        }
    }
}
