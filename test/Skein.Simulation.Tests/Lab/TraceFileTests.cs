using Skein.Simulation.Traces;

namespace Skein.Simulation.Tests.Lab;

public sealed class TraceFileTests
{
    [Fact]
    public void Read_AzureCsv_CountsTimeFromTheFirstRequest()
    {
        var trace = Read("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.5000000,374,44\n2023-11-16 18:15:50.7500000,396,109\n");

        Assert.Equal([(TimeSpan.Zero, 374, 44), (TimeSpan.FromSeconds(4.25), 396, 109)], trace.Select(request => (request.At, request.PromptTokens, request.AnswerTokens)));
        Assert.All(trace, request => Assert.Empty(request.Blocks));
    }

    [Fact]
    public void Read_MooncakeLines_HaveTheirBlocks()
    {
        var trace = Read("""{"timestamp": 1500, "input_length": 700, "output_length": 6, "hash_ids": [3, 7]}""");

        var request = Assert.Single(trace);
        Assert.Equal((TimeSpan.FromSeconds(1.5), 700, 6), (request.At, request.PromptTokens, request.AnswerTokens));
        Assert.Equal([3, 7], request.Blocks);
    }

    [Theory]
    [InlineData("", "trace has no requests")]
    [InlineData("a,b,c", "trace line 1 'a,b,c' is no request")]
    [InlineData("2023-11-16 18:15:46,-1,44", "trace line 1 '2023-11-16 18:15:46,-1,44' is no request")]
    [InlineData("{\"timestamp\": 1}", "trace line 1 '{\"timestamp\": 1}' is no request")]
    [InlineData("{\"timestamp\": 1, \"input_length\": 5, \"output_length\": 1, \"hash_ids\": [1, 2, 3]}", "trace line 1")]
    public void Read_NoTrace_NamesTheLine(string text, string message) =>
        Assert.StartsWith(message, Assert.Throws<ArgumentException>(() => Read(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Synthetic_SameSeed_SameTrace()
    {
        var settings = new SyntheticTrace { Duration = TimeSpan.FromMinutes(1), Seed = 7 };
        var trace = settings.Generate();

        Assert.InRange(trace.Count, 400, 800);
        Assert.Equal(trace.Select(request => (request.At, request.PromptTokens)), settings.Generate().Select(request => (request.At, request.PromptTokens)));
        Assert.NotEqual(trace.Count, (settings with { Seed = 8 }).Generate().Count);
    }

    private static IReadOnlyList<TraceRequest> Read(string text) => TraceFile.Read(new StringReader(text), "trace");
}
