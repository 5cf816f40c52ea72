using Skein.Gateway.Api.Http;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>Headers with which clients choose how they are served.</summary>
public sealed class SkeinHeadersTests
{
    [Theory]
    [InlineData("exact", FailoverPolicy.Exact)]
    [InlineData("best-effort", FailoverPolicy.BestEffort)]
    [InlineData("never", FailoverPolicy.Never)]
    public void Read_Failover_IsTaken(string value, FailoverPolicy policy) =>
        Assert.Equal(policy, Read(SkeinHeaders.Failover, value).Failover);

    [Fact]
    public void Read_HedgePriorityAndDeadline_AreTaken()
    {
        Assert.Equal(1500u, Read(SkeinHeaders.Deadline, "1500").DeadlineMs);
        Assert.False(Read(SkeinHeaders.Deadline, "").HasDeadlineMs);
        Assert.True(Read(SkeinHeaders.Hedge, "1").Hedge);
        Assert.True(Read(SkeinHeaders.StreamToolCalls, "1").StreamToolCalls);
        Assert.Equal(-8, Read(SkeinHeaders.Priority, "-8").Priority);
    }

    [Fact]
    public void Read_Nothing_LeavesTheRequestAsItIs()
    {
        var request = new GenerateRequest { Failover = FailoverPolicy.Exact, Hedge = true, Priority = 3 };

        SkeinHeaders.Read(request, _ => null);

        Assert.Equal((FailoverPolicy.Exact, true, 3), (request.Failover, request.Hedge, request.Priority));
    }

    [Theory]
    [InlineData(SkeinHeaders.Failover, "Exact", "exact, best-effort, never")]
    [InlineData(SkeinHeaders.Failover, "a\r\nb", "exact, best-effort, never")]
    [InlineData(SkeinHeaders.Hedge, "yes", "0, 1")]
    [InlineData(SkeinHeaders.StreamToolCalls, "yes", "0, 1")]
    [InlineData(SkeinHeaders.Priority, "9", "-8 to 8")]
    [InlineData(SkeinHeaders.Priority, "1.5", "-8 to 8")]
    [InlineData(SkeinHeaders.Deadline, "0", "1 to 86400000 ms")]
    [InlineData(SkeinHeaders.Deadline, "2s", "1 to 86400000 ms")]
    [InlineData(SkeinHeaders.Deadline, "-5", "1 to 86400000 ms")]
    [InlineData(SkeinHeaders.Deadline, "86400001", "1 to 86400000 ms")]
    public void Read_WrongValue_NamesHeaderAndWhatIsAllowed(string header, string value, string allowed)
    {
        var refused = Assert.Throws<RequestRefusedException>(() => Read(header, value));

        Assert.Equal(400, refused.Status);
        Assert.Equal(header, refused.Field);
        Assert.Contains($"allowed: {allowed}", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    private static GenerateRequest Read(string header, string value)
    {
        var request = new GenerateRequest();
        SkeinHeaders.Read(request, name => name == header ? value : null);
        return request;
    }
}
