using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;

namespace Skein.Routing.Tests.Streaming;

public sealed class StreamingOptionsTests
{
    public static TheoryData<StreamingOptions, string> OutOfRange() => new()
    {
        { new() { MaxSessions = 0 }, "max sessions 0 is out of range; allowed: 1 to 1000000" },
        { new() { JournalBytes = 1023 }, "journal bytes 1023 is out of range; allowed: 1024 (1 KiB) to 1073741824 (1 GiB)" },
        { new() { AllJournalsBytes = 2048 }, "all journals' bytes 2048 is out of range; allowed: the journal bytes to 1099511627776 (1 TiB)" },
        { new() { AttemptsWithoutProgress = 0 }, "attempts without progress 0 is out of range; allowed: 1 to 100" },
        { new() { LinkSilence = TimeSpan.FromMilliseconds(250) }, "link silence 00:00:00.2500000 is out of range; allowed: 300 ms to 1 min" },
        { new() { FirstTokenSilence = TimeSpan.FromHours(2) }, "first-token silence 02:00:00 is out of range; allowed: 1 s to 1 h" },
        { new() { EngineSilence = TimeSpan.Zero }, "engine silence 00:00:00 is out of range; allowed: 1 s to 1 h" },
        { new() { EngineSilenceFactor = double.NaN }, "engine silence factor NaN is out of range; allowed: 1 to 1000" },
        { new() { OwnLateness = TimeSpan.Zero }, "own lateness 00:00:00 is out of range; allowed: 1 ms to 1 min" },
        { new() { SlowClient = TimeSpan.Zero }, "slow client 00:00:00 is out of range; allowed: 1 s to 1 h" },
        { new() { MaxReplay = TimeSpan.FromSeconds(-1) }, "max replay -00:00:01 is out of range; allowed: 0 s (never) to 10 min" },
        { new() { RetryShare = 1.5 }, "retry share 1.5 is out of range; allowed: 0 to 1" },
        { new() { RetryBurst = -1 }, "retry burst -1 is out of range; allowed: 0 to 1000000" },
        { new() { HedgeShare = double.NaN }, "hedge share NaN is out of range; allowed: 0 to 1" },
        { new() { HandOversAtOnce = 0 }, "hand-overs at once 0 is out of range; allowed: 1 to 10000" },
        { new() { StragglerFactor = 0.5 }, "straggler factor 0.5 is out of range; allowed: 0 (never), or 1 to 1000" },
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
