using System.Diagnostics;

namespace Skein.EndToEnd.Support;

/// <summary>How a run ended.</summary>
internal sealed record RunResult(int ExitCode, string Output, string Errors)
{
    public IReadOnlyList<string> ErrorLines => Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>The built <c>skein</c> as a process. Ends, with its children, when disposed.</summary>
internal sealed class SkeinProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Lines _output = new();
    private readonly Lines _errors = new();

    private SkeinProcess(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => _output.Add(line.Data);
        _process.ErrorDataReceived += (_, line) => _errors.Add(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        // With a wrong flag the process may have ended before this line.
        Handle = ProcessHandle.Find(_process.Id) ?? ProcessHandle.Ended(_process.Id);
    }

    public ProcessHandle Handle { get; }

    public string Output => _output.ToString();

    public string Errors => _errors.ToString();

    public static SkeinProcess Start(params IEnumerable<string> arguments) => Start(null, arguments);

    /// <param name="environment">Variables to add.</param>
    /// <param name="arguments">Verb and flags.</param>
    public static SkeinProcess Start(IReadOnlyDictionary<string, string>? environment, params IEnumerable<string> arguments) =>
        StartProgram("skein", environment, arguments);

    /// <param name="name">A program that is built with the tests.</param>
    /// <param name="environment">Variables to add.</param>
    /// <param name="arguments">Its arguments.</param>
    public static SkeinProcess StartProgram(string name, IReadOnlyDictionary<string, string>? environment, params IEnumerable<string> arguments) =>
        StartUnder([], name, environment, arguments);

    /// <summary>Starts the built <c>skein</c> by another program, such as a shell that sets a limit.</summary>
    /// <param name="wrapper">That program and its arguments, to which the command is added.</param>
    /// <param name="arguments">Verb and flags.</param>
    public static SkeinProcess StartUnder(IReadOnlyList<string> wrapper, params IEnumerable<string> arguments) => StartUnder(wrapper, "skein", null, arguments);

    private static SkeinProcess StartUnder(
        IReadOnlyList<string> wrapper, string name, IReadOnlyDictionary<string, string>? environment, IEnumerable<string> arguments)
    {
        var program = Path.Combine(AppContext.BaseDirectory, name + ".dll");
        string[] command = [.. wrapper, "dotnet", "exec", program, .. arguments];
        // A directory of its own, because nothing may depend on the working directory.
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            WorkingDirectory = Path.GetTempPath(), UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        foreach (var (variable, value) in environment ?? new Dictionary<string, string>())
            start.Environment[variable] = value;
        return new SkeinProcess(start);
    }

    /// <summary>Runs to its end.</summary>
    public static async Task<RunResult> RunAsync(params IEnumerable<string> arguments)
    {
        await using var process = Start(arguments);
        return await process.EndAsync(Until.StartTimeout);
    }

    /// <summary>Waits until it has ended and its output was read.</summary>
    public async Task<RunResult> EndAsync(TimeSpan? within = null)
    {
        await Until.DoneAsync(WaitAsync(), $"the end of 'skein {string.Join(' ', _process.StartInfo.ArgumentList.Skip(2))}'", within, () => Errors);
        return new RunResult(_process.ExitCode, Output, Errors);
    }

    /// <summary>Waits for a line on standard output or standard error, from the start on.</summary>
    public Task<string> LineAsync(string text) => Until.FoundAsync(
        () => Task.FromResult(_output.Find(text) ?? _errors.Find(text)), $"a line with '{text}'", Until.StartTimeout, () => $"Output: {Output}\nErrors: {Errors}");

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await WaitAsync();
        _process.Dispose();
    }

    private async Task<int> WaitAsync()
    {
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }

    /// <summary>Lines as they come. Thread-safe.</summary>
    private sealed class Lines
    {
        private readonly List<string> _lines = [];

        public void Add(string? line)
        {
            lock (_lines)
            {
                if (line is not null)
                    _lines.Add(line);
            }
        }

        public string? Find(string text)
        {
            lock (_lines)
                return _lines.Find(line => line.Contains(text, StringComparison.Ordinal));
        }

        public override string ToString()
        {
            lock (_lines)
                return string.Join('\n', _lines);
        }
    }
}
