using System.Text.Json;

namespace Skein.Conformance.Engines;

/// <summary>The script of a model that does one task with the tools of any agent: it writes a file, reads it back, and says what it read.</summary>
internal sealed class FileTask(string path, string content)
{
    public const string Done = "The file says: ";

    /// <summary>What the agents call their tools, in the order of preference.</summary>
    private readonly (string Tool, Func<object> Write, Func<object> Read)[] _kinds =
    [
        ("exec_command", () => new { cmd = $"printf %s '{content}' > '{path}'" }, () => new { cmd = $"cat '{path}'" }),
        ("shell_command", () => new { command = $"printf %s '{content}' > '{path}'" }, () => new { command = $"cat '{path}'" }),
        ("shell", () => new { command = (string[])["sh", "-c", $"printf %s '{content}' > '{path}'"] }, () => new { command = (string[])["cat", path] }),
    ];

    /// <summary>The task as it is told to an agent.</summary>
    public string Prompt => $"This is the {ScriptedEngine.Mark} test: write the file {path}, read it back and tell what it says.";

    public Reply Answer(ChatCall call)
    {
        // Agents also ask for titles and the like.
        if (call.Tools.Count == 0)
            return new Reply("A file");
        return call.Results.Count switch
        {
            0 => Reply.Call("I write the file now. ", NameOf(call, "Write", "write"), Arguments(call, isWrite: true)),
            1 => Reply.Call("I read it back now. ", NameOf(call, "Read", "read"), Arguments(call, isWrite: false)),
            _ => new Reply(Done + (call.Results[^1].Contains(content, StringComparison.Ordinal) ? content : $"something else: {call.Results[^1]}")),
        };
    }

    private string NameOf(ChatCall call, params string[] names) =>
        names.FirstOrDefault(call.Tools.Contains) ?? _kinds.Select(kind => kind.Tool).FirstOrDefault(call.Tools.Contains)
        ?? throw new InvalidOperationException($"none of the agent's tools is known: {JsonSerializer.Serialize(call.Tools)}");

    private object Arguments(ChatCall call, bool isWrite)
    {
        if (call.Tools.Contains("Write"))
            return isWrite ? (object)new { file_path = path, content } : new { file_path = path };
        if (call.Tools.Contains("write"))
            return isWrite ? (object)new { filePath = path, content } : new { filePath = path };
        var (_, write, read) = _kinds.First(kind => call.Tools.Contains(kind.Tool));
        return isWrite ? write() : read();
    }
}
