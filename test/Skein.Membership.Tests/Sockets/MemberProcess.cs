using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Sockets;

/// <summary>One line of the view of a member in another process.</summary>
internal sealed record SeenMember(string Name, MemberState State, ulong Generation, uint Incarnation)
{
    public string ToLine() => string.Create(CultureInfo.InvariantCulture, $"{Name} {State} {Generation} {Incarnation}");

    public static SeenMember Parse(string line)
    {
        var words = line.Split(' ');
        return new SeenMember(words[0], Enum.Parse<MemberState>(words[1]), ulong.Parse(words[2], CultureInfo.InvariantCulture), uint.Parse(words[3], CultureInfo.InvariantCulture));
    }
}

/// <summary>
/// A member in its own process, which can be killed, stopped and continued. The process is this test program with name and seed in its
/// environment: it then runs a member, prints each change of its view and runs no tests. It ends with its standard input.
/// </summary>
internal sealed class MemberProcess : IDisposable
{
    private const string NameVariable = "SKEIN_TEST_MEMBER_NAME";
    private const string SeedVariable = "SKEIN_TEST_MEMBER_SEED";
    private const string BindVariable = "SKEIN_TEST_MEMBER_BIND";
    private const string KeyVariable = "SKEIN_TEST_MEMBER_KEY";
    private const string WindowVariable = "SKEIN_TEST_MEMBER_WINDOW";
    private const int Stop = 19;
    private const int Continue = 18;
    private readonly Process _process;
    private readonly ConcurrentQueue<SeenMember> _history = [];
    private readonly ConcurrentDictionary<string, SeenMember> _view = new(StringComparer.Ordinal);

    private MemberProcess(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Note(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
    }

    /// <summary>Its current view.</summary>
    public IReadOnlyDictionary<string, SeenMember> View => _view;

    /// <summary>All that it saw, in order.</summary>
    public IEnumerable<SeenMember> History => _history;

    /// <param name="name">The name of the member.</param>
    /// <param name="seed">The seed; its own name: none.</param>
    /// <param name="bind">The address to listen on; default: a free loopback port.</param>
    /// <param name="key">A key in base64; default: none.</param>
    /// <param name="window">The minimum suspicion window; default: the profile's.</param>
    public static MemberProcess Start(string name, IPEndPoint seed, IPEndPoint? bind = null, string key = "", TimeSpan? window = null)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment =
            {
                [NameVariable] = name,
                [SeedVariable] = seed.ToString(),
                [BindVariable] = (bind ?? new IPEndPoint(IPAddress.Loopback, 0)).ToString(),
                [KeyVariable] = key,
                [WindowVariable] = (window ?? ProtocolOptions.Lan.SuspicionMin).ToString(),
            },
        };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(MemberProcess).Assembly.Location);
        return new MemberProcess(start);
    }

    /// <summary>kill -9.</summary>
    public void Kill() => _process.Kill();

    public void Freeze() => Signal(Stop);

    public void Thaw() => Signal(Continue);

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private void Note(string? line)
    {
        if (line is null)
            return;
        var seen = SeenMember.Parse(line);
        _history.Enqueue(seen);
        _view[seen.Name] = seen;
    }

    private void Signal(int signal)
    {
        if (Send(_process.Id, signal) != 0)
            throw new InvalidOperationException($"signal {signal} was not delivered to {_process.Id}");
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Send(int pid, int signal);

    /// <summary>Runs a member if the environment asks for it; false if this process is to run tests.</summary>
    public static async Task<bool> RunIfRequestedAsync()
    {
        if (Environment.GetEnvironmentVariable(NameVariable) is not { } name)
            return false;
        var options = new MembershipOptions
        {
            Name = name,
            Seeds = [Environment.GetEnvironmentVariable(SeedVariable)!],
            Bind = IPEndPoint.Parse(Environment.GetEnvironmentVariable(BindVariable)!),
            Keys = GossipKeys.Parse(Environment.GetEnvironmentVariable(KeyVariable)!),
            Protocol = ProtocolOptions.Lan with { SuspicionMin = TimeSpan.Parse(Environment.GetEnvironmentVariable(WindowVariable)!, CultureInfo.InvariantCulture) },
        };
        await using var member = await MembershipService.StartAsync(
            options, new MemberMetadata(), TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
        _ = PrintChangesAsync(member);
        await Console.In.ReadToEndAsync();
        return true;
    }

    private static async Task PrintChangesAsync(IMembership member)
    {
        var printed = new Dictionary<string, string>(StringComparer.Ordinal);
        var snapshot = member.Current;
        try
        {
            while (true)
            {
                foreach (var seen in snapshot.Members)
                {
                    var line = new SeenMember(seen.Name, seen.State, seen.Generation, seen.Incarnation).ToLine();
                    if (printed.GetValueOrDefault(seen.Name) == line)
                        continue;
                    printed[seen.Name] = line;
                    Console.WriteLine(line);
                }
                snapshot = await member.WaitForChangeAsync(snapshot.Version, CancellationToken.None);
            }
        }
        catch (OperationCanceledException)
        {
            // The member was disposed: standard input has ended.
        }
    }
}
