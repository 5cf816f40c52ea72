using Skein.Operations.Supervision;

namespace Skein.Operations.Tests.Supervision;

public class MemberReadyTests
{
    [Fact]
    public void FromLine_ItsOwnLine_IsTheSame()
    {
        var ready = new MemberReady("replica-1", "", "127.0.0.1:8090", "[::1]:7946");

        Assert.DoesNotContain('\n', ready.ToLine());
        Assert.Equal(ready, MemberReady.FromLine(ready.ToLine()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Now listening on: http://127.0.0.1:5000")]
    [InlineData("already there")]
    public void FromLine_AnotherLine_IsNothing(string line) => Assert.Null(MemberReady.FromLine(line));
}
