using System.Buffers;
using System.Text;
using Skein.Engines.OpenAiCompatible.Tools;

namespace Skein.Engines.Tests.OpenAiCompatible.Tools;

public class ToolCallMarksTests
{
    /// <summary>How the templates of common models write the answer with a text and a call.</summary>
    [Theory]
    [InlineData("<|im_start|>assistant\n", "Cqxz\n<tool_call>\n{\"name\": \"nqxz\", \"arguments\": {}}\n</tool_call>", "<tool_call>", false)]
    [InlineData("<|im_start|>assistant\n", "<think>\n\n</think>\n\nCqxz\n<tool_call>\n<function=nqxz>", "<tool_call> <function=", false)]
    [InlineData("<assistant>", "{\"name\": \"nqxz\", \"parameters\": {}}", "{", true)]
    [InlineData("[/INST]", "Cqxz[TOOL_CALLS][{\"name\": \"nqxz\"}]", "[TOOL_CALLS][", false)]
    [InlineData("[/INST]", "Cqxz[TOOL_CALLS] [{\"name\": \"nqxz\"}]", "[TOOL_CALLS]", false)]
    [InlineData("<A>", "Cqxz<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>nqxz", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>", false)]
    [InlineData("<A>", "Cqxz to=nqxz", "to=", false)]
    public void Find_Template_FindsHowACallBegins(string question, string answer, string marks, bool isOnlyFirst)
    {
        const string head = "tools: [nqxz] user: Hi ";

        var found = ToolCallMarks.Find(head + question, head + question + answer);

        Assert.NotNull(found);
        Assert.Equal((marks, isOnlyFirst), (string.Join(' ', found.Texts), found.IsOnlyFirst));
    }

    [Theory]
    [InlineData("Cqxz")]
    [InlineData("nqxz")]
    [InlineData("")]
    public void Find_TemplateWithoutCalls_FindsNothing(string answer) => Assert.Null(ToolCallMarks.Find("tools: nqxz assistant: ", "tools: nqxz assistant: " + answer));

    [Theory]
    [InlineData("Let me see. <tool_call>{", "Let me see.", true)]
    [InlineData("a <b> c", "a <b> c", false)]
    [InlineData("a <tool_cal", "a <tool_cal", false)]
    [InlineData("a  \n", "a  \n", false)]
    [InlineData("<function=f>", "", true)]
    [InlineData("x<<tool_call>", "x<", true)]
    public void Append_InPiecesOfAnySize_ReleasesTheContentBeforeACall(string text, string released, bool hasBegun)
    {
        for (var size = 1; size <= text.Length; size++)
        {
            var watch = new ToolCallWatch(new ToolCallMarks(["<tool_call>", "<function="], IsOnlyFirst: false));
            var output = new ArrayBufferWriter<byte>();

            foreach (var piece in text.Chunk(size))
            {
                watch.Append(Encoding.UTF8.GetBytes(piece), output);
            }

            Assert.Equal(hasBegun, watch.HasBegun);
            watch.Flush(output);
            Assert.Equal(released, Encoding.UTF8.GetString(output.WrittenSpan));
        }
    }

    [Theory]
    [InlineData(" {\"name\"", true)]
    [InlineData("{", true)]
    [InlineData("a {", false)]
    public void Append_MarkThatIsOnlyFirst_CountsAtTheBeginning(string text, bool hasBegun)
    {
        var watch = new ToolCallWatch(new ToolCallMarks(["{"], IsOnlyFirst: true));

        watch.Append(Encoding.UTF8.GetBytes(text), new ArrayBufferWriter<byte>());

        Assert.Equal(hasBegun, watch.HasBegun);
    }
}
