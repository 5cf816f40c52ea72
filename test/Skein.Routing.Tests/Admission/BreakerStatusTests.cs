using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Health;

namespace Skein.Routing.Tests.Admission;

public sealed class BreakerStatusTests
{
    [Theory]
    [InlineData(BreakerState.Closed, true, false, "ok")]
    [InlineData(BreakerState.Closed, true, true, "warming")]
    [InlineData(BreakerState.HalfOpen, true, true, "trial")]
    [InlineData(BreakerState.Open, true, false, "ejected")]
    [InlineData(BreakerState.Open, false, true, "unreachable")]
    public void Word_SaysWhatWeighsMost(BreakerState state, bool reachable, bool warming, string word) =>
        Assert.Equal(word, new BreakerStatus(new ReplicaId("r", 1), state, 0, reachable, warming).Word);
}
