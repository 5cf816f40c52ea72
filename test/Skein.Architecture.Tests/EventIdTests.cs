using System.Text.RegularExpressions;

namespace Skein.Architecture.Tests;

/// <summary>An event id names one log message of the whole product: operators filter and alert by it.</summary>
public sealed partial class EventIdTests
{
    [Fact]
    public void EveryEventId_IsUsedOnce()
    {
        (int Id, string File)[] messages = [.. SourceTree.CodeIn("src").SelectMany(EventIdsIn)];

        Assert.NotEmpty(messages);
        SourceTree.AssertNone(messages.GroupBy(message => message.Id).Where(same => same.Count() > 1)
            .Select(same => $"{same.Key}: {string.Join(", ", same.Select(message => message.File))}"));
    }

    /// <summary>An id may be a number or a constant of the same file; any other form fails the test.</summary>
    private static IEnumerable<(int Id, string File)> EventIdsIn(string file)
    {
        var code = File.ReadAllText(file);
        var constants = Constant().Matches(code).ToDictionary(match => match.Groups["name"].Value, match => match.Groups["value"].Value, StringComparer.Ordinal);
        foreach (Match match in Message().Matches(code))
        {
            var id = match.Groups["id"].Value;
            Assert.True(
                int.TryParse(constants.GetValueOrDefault(id, id), out var number),
                $"{SourceTree.Relative(file)}: '{id}' is not an event id; allowed: a number, or a const int of the same file");
            yield return (number, SourceTree.Relative(file));
        }
    }

    [GeneratedRegex(@"\[LoggerMessage\(\s*(EventId\s*=\s*)?(?<id>[^,\s]+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Message();

    [GeneratedRegex(@"const int (?<name>\w*EventId) = (?<value>\d+);", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Constant();
}
