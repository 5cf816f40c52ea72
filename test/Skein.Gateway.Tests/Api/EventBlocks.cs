using System.Text;

namespace Skein.Gateway.Tests.Api;

/// <summary>Event streams as clients with narrow parsers read them.</summary>
internal static class EventBlocks
{
    /// <summary>The data of each event as openai-go before 3.43 dispatches it: at every blank line, whatever came before it.</summary>
    public static IReadOnlyList<string> OfGo(string body) => Dispatched(body, static (_, _) => true);

    /// <summary>The same for openai-python and anthropic-python: not if the block set no field, but their last id counts as one for ever.</summary>
    public static IReadOnlyList<string> OfPython(string body) => Dispatched(body, static (data, hasField) => data.Length > 0 || hasField);

    /// <summary>Fails at a block that these clients would read as an event without data, which they parse as JSON.</summary>
    public static void AssertAllHaveData(string body)
    {
        Assert.NotEmpty(OfGo(body));
        Assert.DoesNotContain("", OfGo(body));
        Assert.DoesNotContain("", OfPython(body));
    }

    private static List<string> Dispatched(string body, Func<StringBuilder, bool, bool> isEvent)
    {
        var events = new List<string>();
        var data = new StringBuilder();
        bool hasId = false, hasName = false;
        var lines = body.ReplaceLineEndings("\n").Split('\n');
        // What follows the last line break is no line yet.
        foreach (var line in lines[..^1])
        {
            if (line.Length == 0)
            {
                if (isEvent(data, hasId || hasName))
                    events.Add(data.ToString());
                data.Clear();
                hasName = false;
            }
            else if (line.StartsWith("data:", StringComparison.Ordinal))
            {
                data.Append(line["data:".Length..].TrimStart()).Append('\n');
            }
            else if (line.StartsWith("id:", StringComparison.Ordinal))
            {
                hasId = true;
            }
            else if (line.StartsWith("event:", StringComparison.Ordinal) || line.StartsWith("retry:", StringComparison.Ordinal))
            {
                hasName = true;
            }
        }

        return events;
    }
}
