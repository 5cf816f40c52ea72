using System.Runtime.CompilerServices;
using System.Text;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

/// <summary>Servers that continue a text, and servers that begin the answer anew when they are asked to.</summary>
public sealed class RestartTests
{
    public static TheoryData<string> Answers()
    {
        var data = new TheoryData<string>
        {
            "a", "ab", "aa", "la la la la la la la la la la la la la la la la la la la la", "The cat. The cat. The dog. The cat sat on the mat.",
            "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15 w16 w17 w18 w19 w20", new string('x', 150),
            "äöü äöü äöü €€€ äöü", "1. one\n2. two\n1. one\n2. two\n3. three",
        };
        var random = new Random(4);
        for (var i = 0; i < 12; i++)
        {
            var period = Text(random, random.Next(1, 40), letters: random.Next(1, 4));
            data.Add(string.Concat(Enumerable.Repeat(period, random.Next(1, 8))) + Text(random, random.Next(30), letters: 3));
            data.Add(Text(random, random.Next(1, 200), letters: random.Next(1, 27)));
        }
        return data;
    }

    /// <summary>The answer is cut at each of its pieces: the client gets the undisturbed one.</summary>
    [Theory]
    [MemberData(nameof(Answers))]
    public async Task Session_CutAnywhere_IsTheUndisturbedAnswer(string answer)
    {
        foreach (var restarts in new[] { false, true })
        {
            foreach (var size in new[] { 1, 3, 7, 100 })
            {
                for (var cut = 0; cut <= Pieces(answer, size).Length; cut++)
                {
                    var link = new TextLink(answer, size, cut) { Restarts = restarts };

                    Assert.Equal(answer, await ReadAsync(link));
                }
            }
        }
    }

    /// <summary>Made again, it is another answer: the client gets an error and no second beginning.</summary>
    [Fact]
    public async Task Session_RestartIsAnotherAnswer_EndsInAnError()
    {
        const string Answer = "It was a bright cold day in April, and the clocks were striking thirteen. Winston Smith slipped quickly through the doors.";
        for (var cut = 20; cut < Answer.Length; cut++)
        {
            var link = new TextLink(Answer, size: 1, cut) { Restarts = true, Later = Answer[..18] + "bland" + Answer[20..] };
            var received = new StringBuilder();

            var error = await Assert.ThrowsAsync<FaultException>(() => ReadAsync(link, received));

            Assert.Equal(Fault.StreamLost, error.Fault);
            Assert.Equal(Answer[..cut], received.ToString());
        }
    }

    [Theory]
    [InlineData("abcdefgh", "x", true)]
    [InlineData("abcdefgh", "abcx", true)]
    [InlineData("abcdefgh", "abcdefgh", false)]
    [InlineData("abcdefgh", " \nabcdefgh", false)]
    [InlineData(" abcdefgh", "abcdefgh", false)]
    [InlineData("abcdefgh", "  x", true)]
    [InlineData(" ", " ", false)]
    [InlineData(" ", "x", true)]
    [InlineData("abcdefgh", "abcdefghi", false)]
    [InlineData("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnop!", false)]
    [InlineData("The quick brown fox jumps", "The slow brown fox jumps o", false)]
    [InlineData("The quick brown fox jumps", "The cat and the dog sleep", true)]
    [InlineData("The quick brown fox jumps", "Tha", true)]
    public void Take_Text_IsReleasedWhenItDiffersSoon(string delivered, string text, bool isReleased)
    {
        var guard = GuardOf(delivered);
        var released = new List<GenerateFrame>();
        var verdict = GuardVerdict.Hold;
        foreach (var letter in text)
        {
            Assert.Equal(GuardVerdict.Hold, verdict);
            verdict = guard.Take(Piece(letter.ToString()), released);
            if (verdict == GuardVerdict.Restarted)
                break;
        }

        Assert.Equal(isReleased ? GuardVerdict.Release : GuardVerdict.Restarted, verdict);
        Assert.Equal(isReleased ? text : "", string.Concat(released.Select(frame => frame.Text.ToStringUtf8())));
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("ab", false)]
    public void Take_Finish_IsReleasedUnlessTheTextBeforeItMayBeARestart(string text, bool isReleased)
    {
        var guard = GuardOf("abcdefgh");
        if (text.Length > 0)
            Assert.Equal(GuardVerdict.Hold, guard.Take(Piece(text), []));

        var verdict = guard.Take(new GenerateFrame { Finish = new Finish { Reason = FinishReason.Stop } }, []);

        Assert.Equal(isReleased ? GuardVerdict.Release : GuardVerdict.Restarted, verdict);
    }

    /// <summary>Text is followed by a tool call, or the server begins its reasoning anew.</summary>
    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void Take_StructuredDelta_IsReleasedUnlessTheAnswerBeganWithOne(bool hadOne, bool isReleased)
    {
        var guard = GuardOf("abcdefgh", hadOne);

        var verdict = guard.Take(new GenerateFrame { Count = 1, RawDelta = ByteString.CopyFromUtf8("{}") }, []);

        Assert.Equal(isReleased ? GuardVerdict.Release : GuardVerdict.Restarted, verdict);
    }

    [Fact]
    public void Of_EchoedPrompt_IsNotComparedWith()
    {
        var journal = JournalOf("prompt: abc", hasStructure: false);
        var guard = RestartGuard.Of(journal, new GenerateRequest { Echo = true, Text = "prompt: " })!;

        Assert.Equal(GuardVerdict.Restarted, guard.Take(Piece("abc"), []));
        Assert.Null(RestartGuard.Of(JournalOf("prompt: ", hasStructure: false), new GenerateRequest { Echo = true, Text = "prompt: " }));
    }

    private static RestartGuard GuardOf(string delivered, bool hasStructure = false) =>
        RestartGuard.Of(JournalOf(delivered, hasStructure), new GenerateRequest())!;

    private static Journal JournalOf(string delivered, bool hasStructure)
    {
        var journal = new Journal();
        journal.Begin(new Start { Unit = TokenUnit.Chunk });
        if (hasStructure)
            journal.Append(new GenerateFrame { Count = 1, RawDelta = ByteString.CopyFromUtf8("{}") });
        journal.Append(Piece(delivered));
        return journal;
    }

    private static GenerateFrame Piece(string text) => new() { Count = 1, Text = ByteString.CopyFromUtf8(text) };

    private static string Text(Random random, int length, int letters) =>
        string.Concat(Enumerable.Range(0, length).Select(_ => (char)('a' + random.Next(letters))));

    private static string[] Pieces(string answer, int size) => [.. answer.Chunk(size).Select(piece => new string(piece))];

    private static async Task<string> ReadAsync(TextLink link, StringBuilder? received = null)
    {
        received ??= new StringBuilder();
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")), link: link);
        var request = Gateway.Request();
        request.ClearMaxTokens();
        await using var session = gateway.Sessions.Start(request);
        var next = 0;
        while (await session.WaitToReadAsync(TestContext.Current.CancellationToken))
        {
            while (session.TryRead(out var frame))
            {
                if (frame.Count > 0)
                    Assert.Equal(next, (int)frame.FirstIndex);
                next += (int)frame.Count;
                received.Append(frame.Text.ToStringUtf8());
            }
        }
        return received.ToString();
    }

    /// <summary>Servers of one deterministic answer in pieces of text; the first attempt is cut.</summary>
    private sealed class TextLink(string answer, int size, int cut) : IReplicaLink
    {
        public bool Restarts { get; init; }

        /// <summary>The answer of all attempts but the first; null: the same.</summary>
        public string? Later { get; init; }

        public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
            Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.CompletedTask;
            var index = request.Resume?.NextIndex ?? 0;
            yield return Frame(request, new GenerateFrame
            {
                Start = new Start { Fingerprint = "f", ResumedAt = index, ResumeTier = ResumeTier.Text, Unit = TokenUnit.Chunk },
            });
            var rest = request.Attempt == 1 ? answer : Later ?? answer;
            if (!Restarts && request.Resume is { } resume)
                rest = rest[resume.Text.ToStringUtf8().Length..];
            foreach (var piece in Pieces(rest, size))
            {
                if (request.Attempt == 1 && index == cut)
                    throw new FaultException(Fault.ConnectionLost, "reset");
                yield return Frame(request, new GenerateFrame { FirstIndex = index++, Count = 1, Text = ByteString.CopyFromUtf8(piece) });
            }
            if (request.Attempt == 1 && index == cut)
                throw new FaultException(Fault.ConnectionLost, "reset");
            yield return Frame(request, new GenerateFrame { FirstIndex = index, Finish = new Finish { Reason = FinishReason.Stop } });
        }

        public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => Task.CompletedTask;

        private static GenerateFrame Frame(GenerateRequest request, GenerateFrame frame)
        {
            (frame.Attempt, frame.Choice) = (request.Attempt, request.Choice);
            return frame;
        }
    }
}
