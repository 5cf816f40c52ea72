using System.Text.RegularExpressions;

namespace Skein.Architecture.Tests;

/// <summary>An event id names one log message of the whole product: operators filter and alert by it.</summary>
public sealed partial class EventIdTests
{
    [Fact]
    public void EveryEventId_IsUsedOnce()
    {
        (int Id, string File)[] messages =
        [
            .. from file in SourceTree.CodeIn("src")
               from Match match in Message().Matches(File.ReadAllText(file))
               select (int.Parse(match.Groups["id"].Value), SourceTree.Relative(file)),
        ];

        Assert.NotEmpty(messages);
        SourceTree.AssertNone(messages.GroupBy(message => message.Id).Where(same => same.Count() > 1)
            .Select(same => $"{same.Key}: {string.Join(", ", same.Select(message => message.File))}"));
    }

    [GeneratedRegex(@"LoggerMessage\(\s*(?:EventId\s*=\s*)?(?<id>\d+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Message();
}
