using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;

namespace Skein.Routing.Tests.Streaming;

public sealed class StreamingOptionsTests
{
    public static TheoryData<StreamingOptions, string> OutOfRange() => new()
    {
        { new() { MaxSessions = 0 }, "max sessions is 0; allowed: 1 to 1000000" },
        { new() { JournalBytes = 1023 }, "journal bytes is 1023; allowed: 1024 to 1073741824" },
        { new() { AllJournalsBytes = 2048 }, "all journals' bytes is 2048; allowed: 1048576 to 1099511627776" },
        { new() { AttemptsWithoutProgress = 0 }, "attempts without progress is 0; allowed: 1 to 100" },
        { new() { MaxAttempts = 101 }, "max attempts is 101; allowed: 1 to 100" },
        { new() { LinkSilence = TimeSpan.FromMilliseconds(250) }, "link silence is 00:00:00.2500000; allowed: 00:00:00.3000000 to 00:01:00" },
        { new() { FirstTokenSilence = TimeSpan.FromHours(2) }, "first-token silence is 02:00:00; allowed: 00:00:01 to 01:00:00" },
        { new() { EngineSilence = TimeSpan.Zero }, "engine silence is 00:00:00; allowed: 00:00:01 to 01:00:00" },
        { new() { EngineSilenceFactor = double.NaN }, "engine silence factor is NaN; allowed: 1 to 1000" },
        { new() { OwnLateness = TimeSpan.Zero }, "own lateness is 00:00:00; allowed: 00:00:00.0010000 to 00:01:00" },
        { new() { SlowClient = TimeSpan.Zero }, "slow client is 00:00:00; allowed: 00:00:01 to 01:00:00" },
        { new() { MaxReplay = TimeSpan.FromSeconds(-1) }, "max replay is -00:00:01; allowed: 00:00:00 to 00:10:00" },
        { new() { RetryShare = 1.5 }, "retry share is 1.5; allowed: 0 to 1" },
        { new() { RetryBurst = -1 }, "retry burst is -1; allowed: 0 to 1000000" },
        { new() { RetryRequestShare = 2 }, "retry request share is 2; allowed: 0 to 1" },
        { new() { HedgeShare = double.NaN }, "hedge share is NaN; allowed: 0 to 1" },
        { new() { HandOversAtOnce = 0 }, "hand-overs at once is 0; allowed: 1 to 10000" },
        { new() { StragglerFactor = 0.5 }, "straggler factor is 0.5; allowed: 0 (never), or 1 to 1000" },
    };

    [Theory]
    [MemberData(nameof(OutOfRange))]
    public void GenerationSessions_OptionOutOfItsRange_IsRefusedByNameValueAndWhatIsAllowed(StreamingOptions options, string message) =>
        Assert.Equal(message, Assert.Throws<ArgumentException>(() => new Gateway(new StaticFleet(), streaming: options)).Message);

    [Fact]
    public void Validate_DefaultsAndEveryOff_AreAllowed()
    {
        new StreamingOptions().Validate();
        new StreamingOptions { MaxReplay = TimeSpan.Zero, RetryShare = 0, RetryBurst = 0, HedgeShare = 0, StragglerFactor = 0 }.Validate();
    }
}
