using System.Text;
using Skein.Load.Targets;

namespace Skein.Load.Tests;

public class SseCommentStreamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(1000)]
    public async Task Read_AnyPortions_PassesBytesThroughAndTellsComments(int portion)
    {
        const string Events = "data: a:b\n\n: one\n\n:two\r\ndata: c\n\n:\n: unfinished";
        var comments = new List<string>();
        await using var stream = new SseCommentStream(new MemoryStream(Encoding.UTF8.GetBytes(Events)), comments.Add);

        var read = new MemoryStream();
        await stream.CopyToAsync(read, portion, TestContext.Current.CancellationToken);

        Assert.Equal(Events, Encoding.UTF8.GetString(read.ToArray()));
        Assert.Equal([": one", ":two", ":"], comments);
    }

    [Fact]
    public async Task Read_EndlessLine_IsRefused()
    {
        await using var stream = new SseCommentStream(new MemoryStream(new byte[2 << 20]), _ => { });

        await Assert.ThrowsAsync<InvalidDataException>(
            () => stream.CopyToAsync(Stream.Null, TestContext.Current.CancellationToken));
    }
}
