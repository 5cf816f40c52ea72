using System.Text;
using Skein.Engines.OpenAiCompatible.Reasoning;

namespace Skein.Engines.Tests.OpenAiCompatible.Reasoning;

public class ReasoningSplitterTests
{
    private static readonly ReasoningForm Think = new("<think>", "</think>") { AfterOpen = "\n", AfterClose = "\n\n" };

    [Theory]
    [InlineData("<think>\na b\n</think>\n\nc d", "Before", true, "a b\n", "c d")]
    [InlineData("<think>\na b\n</think>\n\nc d", "Before", false, "\na b\n", "\n\nc d")]
    [InlineData("<think>a b</think>\nc d", "Before", true, "a b", "c d")]
    [InlineData("\n <think>\n\na b</think>\n\n\nc d", "Before", true, "\na b", "\nc d")]
    [InlineData("a b</think>c d", "Behind", true, "a b", "c d")]
    [InlineData("\na b</think> c", "Behind", true, "a b", " c")]
    [InlineData("\na b</think> c", "Behind", false, "\na b", " c")]
    [InlineData("<think>a</think>b", "Behind", true, "<think>a", "b")]
    [InlineData("<think>a</think>b", "MayRepeatTheMark", false, "a", "b")]
    [InlineData("a</think>b", "MayRepeatTheMark", false, "a", "b")]
    [InlineData("a b c", "Behind", true, "a b c", "")]
    [InlineData("a </thin", "Behind", true, "a </thin", "")]
    [InlineData("a </thin b </think> c", "Behind", true, "a </thin b ", " c")]
    [InlineData("a < b </ c </think>", "Behind", true, "a < b </ c ", "")]
    [InlineData("a b", "Before", true, "", "a b")]
    [InlineData(" <b> c", "Before", true, "", "<b> c")]
    [InlineData(" <b> c", "Before", false, "", " <b> c")]
    [InlineData("<thin", "Before", true, "", "<thin")]
    [InlineData("a <think> b </think>", "Before", true, "", "a <think> b </think>")]
    [InlineData("a</think>b</think>c", "Behind", true, "a", "b</think>c")]
    [InlineData("", "Behind", true, "", "")]
    [InlineData("<think>\n\n</think>\n\na", "Before", true, "", "a")]
    [InlineData("<think>\n\n</think>\n\na", "Before", false, "\n\n", "\n\na")]
    [InlineData("é</think>ü", "Behind", true, "é", "ü")]
    public void Append_InPiecesOfAnySize_DividesAsTheMarksSay(string text, string begin, bool trims, string reasoning, string content)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var size = 1; size <= Math.Max(1, bytes.Length); size++)
        {
            var splitter = new ReasoningSplitter(Think, Enum.Parse<ReasoningBegin>(begin), trims);
            foreach (var piece in bytes.Chunk(size))
            {
                splitter.Append(piece);
            }

            splitter.Flush();

            Assert.Equal((reasoning, content), (Encoding.UTF8.GetString(splitter.Reasoning), Encoding.UTF8.GetString(splitter.Content)));
        }
    }

    /// <summary>Only what may be a part of a mark is held back.</summary>
    [Fact]
    public void Append_NoPartOfAMark_IsReleasedAtOnce()
    {
        var splitter = new ReasoningSplitter(Think, ReasoningBegin.Behind, trims: true);

        splitter.Append("thinking <"u8);

        Assert.Equal("thinking ", Encoding.UTF8.GetString(splitter.Reasoning));
        splitter.Append("b"u8);
        Assert.Equal("thinking <b", Encoding.UTF8.GetString(splitter.Reasoning));
    }

    [Theory]
    [InlineData("user\nHi\nassistant\n", "user\nHi\nassistant\n<think>\nRqxz\n</think>\n\nCqxz", "<think>", "</think>", "\n", "\n\n")]
    [InlineData("user\nHi\nassistant\n<think>\n", "user\nHi\nassistant\n<think>\nRqxz\n</think>\n\nCqxz<end>", "<think>", "</think>", "\n", "\n\n")]
    [InlineData("[U]Hi[A]", "[U]Hi[A][R]Rqxz[/R]Cqxz", "[R]", "[/R]", "", "")]
    [InlineData("[U]Hi[A][R]", "[U]Hi[A][R]Rqxz[/R]Cqxz", "[R]", "[/R]", "", "")]
    [InlineData("[U]Hi[A][my thoughts]\n", "[U]Hi[A][my thoughts]\nRqxz[aloud]Cqxz", "[my thoughts]", "[aloud]", "\n", "")]
    [InlineData("<u>Hi<a><r>", "<u>Hi<a><r>Rqxz<s>Cqxz", "<r>", "<s>", "", "")]
    public void Find_RenderedChats_ShowTheMarks(string question, string answered, string open, string close, string afterOpen, string afterClose) => Assert.Equal(
        new ReasoningForm(open, close) { AfterOpen = afterOpen, AfterClose = afterClose }, ReasoningForm.Find(question, answered));

    [Theory]
    [InlineData("user\nHi\nassistant\nCqxz")]
    [InlineData("user\nHi\nassistant\nRqxz")]
    [InlineData("user\nHi\nassistant\n<think>RqxzCqxz")]
    public void Find_TemplateShowsNoReasoning_IsNull(string answered) => Assert.Null(ReasoningForm.Find("user\nHi\nassistant\n", answered));
}
