using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Tests.Telemetry;

public class RequestTallyTests
{
    [Theory]
    [InlineData("completed", 0)]
    [InlineData("cancelled", 0)]
    [InlineData("refused", 0)]
    [InlineData("model_not_found", 0)]
    [InlineData("slow_client", 0)]
    [InlineData("queue_full", 1)]
    [InlineData("no_replica", 1)]
    [InlineData("stream_lost", 1)]
    [InlineData("internal_error", 1)]
    public void Count_OnlyWhatIsNotTheClients_IsAFailure(string outcome, int failed)
    {
        var tally = new RequestTally();

        tally.Count(outcome);

        Assert.Equal((1, failed), (tally.Ended, tally.Failed));
    }
}
