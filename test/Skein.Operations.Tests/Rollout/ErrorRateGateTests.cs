using Skein.Operations.Rollout;
using Skein.Gateway.Admin;

namespace Skein.Operations.Tests.Rollout;

public class ErrorRateGateTests
{
    /// <summary>Requests, failed and faults at each second; then the state of a gate of 3 s with at most one error in a hundred.</summary>
    [Theory]
    [InlineData("0,0,0 9,0,0 9,0,0 9,0,0", "Passed")]
    [InlineData("0,0,0 100,1,0 200,1,0 300,1,0", "Passed")]
    [InlineData("0,0,0 100,2,0 200,2,0 300,2,0", "Watching")]
    [InlineData("0,0,0 100,0,2 200,0,2 300,0,2 400,0,2", "Passed")]
    [InlineData("0,0,0 0,0,1 0,0,1 0,0,1", "Watching")]
    [InlineData("500,9,9 600,9,9 700,9,9 800,9,9", "Passed")]
    [InlineData("500,9,9 600,9,9 7,0,0 9,0,0", "Watching")]
    [InlineData("500,9,9 600,9,9 7,0,0 9,0,0 9,0,0 9,0,0", "Passed")]
    [InlineData("0,0,0 9,1,0 9,2,0 9,3,0 9,4,0 9,5,0 9,6,0 9,7,0 9,8,0 9,9,0 9,10,0 9,11,0 9,12,0 9,13,0 9,14,0 9,15,0 9,16,0 9,17,0 9,18,0", "Failed")]
    public void Observe_EachSecond_HasState(string seconds, string expected)
    {
        var gate = new ErrorRateGate(TimeSpan.FromSeconds(3), 0.01, TimeSpan.Zero);
        var state = GateState.Watching;
        foreach ((var second, var row) in seconds.Split(' ').Index())
        {
            Assert.Equal(GateState.Watching, state);
            long[] counts = [.. row.Split(',').Select(long.Parse)];
            state = gate.Observe(new CounterRow(counts[0], counts[1], counts[2]), TimeSpan.FromSeconds(second));
        }
        Assert.Equal(expected, state.ToString());
    }
}
