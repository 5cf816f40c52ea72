namespace Skein.Engines.Tests;

public class EngineFactoriesTests
{
    [Theory]
    [InlineData("embedded", 1)]
    [InlineData("simulated", 1)]
    [InlineData("http://127.0.0.1:8000/v1", 1)]
    [InlineData("https://host.test", 1)]
    [InlineData("ftp://host.test", 0)]
    [InlineData("", 0)]
    public void Find_AnyValue_MatchesAtMostOneEngine(string engine, int matches)
    {
        Assert.Equal(matches, EngineFactories.All.Count(factory => factory.Matches(engine)));
        Assert.Equal(matches == 1, EngineFactories.Find(engine) is not null);
    }

    [Fact]
    public void Settings_OfAllEngines_HaveNamesOfTheirOwn()
    {
        var settings = EngineFactories.All.SelectMany(factory => factory.Settings).Distinct().ToList();

        Assert.Equal(settings.Count, settings.Select(setting => setting.Name).Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public async Task CreateAsync_WithSettings_UsesThem()
    {
        var values = new Dictionary<EngineSetting, object> { [EngineSetting.TokensPerSecond] = -1d };

        var refusal = await Assert.ThrowsAsync<ArgumentException>(
            () => EngineFactories.Find("simulated")!.CreateAsync(new EngineConfiguration("simulated", values), TestContext.Current.CancellationToken));

        Assert.StartsWith("TokensPerSecond is -1; allowed: 0 to 1000000", refusal.Message, StringComparison.Ordinal);
    }
}
