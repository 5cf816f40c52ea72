using Skein.Load.Measuring;

namespace Skein.Load.Tests;

public class FailoverNoteTests
{
    [Theory]
    [InlineData(": skein failovers=2 attempts=3 [token 17: replica-2 lost (link); choice 1 token 40: token 9 lost (stall)]", 2, new uint[] { 17, 40 })]
    [InlineData("failovers=12", 12, new uint[0])]
    [InlineData("failovers=1 attempts=2 [token 99999999999: replica-1 lost (link)]", 1, new uint[0])]
    [InlineData("failovers=", 0, new uint[0])]
    [InlineData("failovers=99999999999 [token 17: replica-2 lost (link)]", 0, new uint[0])]
    [InlineData(": keep-alive", 0, new uint[0])]
    [InlineData("", 0, new uint[0])]
    public void Read_Note_TellsFailoversAndTheirTokens(string note, int count, uint[] indexes)
    {
        var read = FailoverNote.Read(note);

        Assert.Equal(count, read.Count);
        Assert.Equal(indexes, read.Indexes);
    }

    [Fact]
    public void OnSuccess_NumberedTokensWithAFailover_TellsTheGapAtItAndTheLongest()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var latencies = new LatencyRecorder();
        var answer = new AnswerRecorder(time, latencies);
        foreach (var (index, gap) in new[] { (0u, 5), (1u, 20), (2u, 44), (3u, 90) })
        {
            time.Advance(TimeSpan.FromMilliseconds(gap));
            answer.OnIndexes(index, 1);
            answer.OnTokens("x");
        }

        answer.OnFailovers(FailoverNote.Read("failovers=1 attempts=2 [token 2: replica-2 lost (link)]"));
        answer.OnSuccess();

        Assert.Equal((1, 44), (latencies.Failovers.Summary.Count, Math.Round(latencies.Failovers.Summary.Max)));
        Assert.Equal((1, 90), (latencies.FailedOver.Summary.Count, Math.Round(latencies.FailedOver.Summary.Max)));
    }
}
