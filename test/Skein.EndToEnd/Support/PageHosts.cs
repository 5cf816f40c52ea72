using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Skein.Load.Chaos.Network;
using Skein.Membership.Tests.Network;

namespace Skein.EndToEnd.Support;

/// <summary>
/// Hosts on which the commands of a page run: a network namespace and a folder each. Stand-ins take the place of what a host has and a namespace has not:
/// <c>systemctl</c> runs the commands of the units, <c>ssh</c> and <c>scp</c> reach the other namespaces, <c>llama-server</c> is an imitation.
/// </summary>
internal sealed class PageHosts : IAsyncDisposable
{
    private const string PagePrefix = "10.0.0.";
    private const string Folder = "/etc/skein";

    private static readonly string[] Needed = ["bash", "openssl", "curl", "nsenter", "setsid"];

    private readonly string _root = Directory.CreateTempSubdirectory("skein-page-").FullName;
    private readonly List<FakeUpstream> _servers = [];
    private readonly IReadOnlyList<string> _names;
    private readonly Cable _cable;

    private PageHosts(IReadOnlyList<string> names, Cable cable)
    {
        (_names, _cable) = (names, cable);
        foreach (var name in names)
            Directory.CreateDirectory(Path.Combine(_root, name, "etc"));
        WriteStandIns();
    }

    /// <summary>Makes them, or skips the test with the reason.</summary>
    public static async Task<PageHosts> CreateOrSkipAsync(params IReadOnlyList<string> names)
    {
        var missing = Needed.Where(program => !Exists(program)).ToList();
        Assert.SkipUnless(missing.Count == 0, $"the page's commands need {string.Join(", ", missing)}, which are not installed here");
        return new PageHosts(names, await CableOrSkip.CreateAsync(names.Count, seed: 1));
    }

    /// <summary>Runs the commands of a block on all its hosts at the same time, to their end.</summary>
    /// <returns>What they printed.</returns>
    public async Task<string> RunAsync(PageBlock block)
    {
        if (block.IsServer)
        {
            foreach (var host in block.Hosts)
                _servers.Add(await FakeUpstream.StartAsync(new Fuse(), port: 8000, NetworkOf(host)));
        }
        return string.Concat(await Task.WhenAll(block.Hosts.Select(host => RunAsync(host, block))));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var file in Directory.EnumerateFiles(_root, "*.pid", SearchOption.AllDirectories))
            Kill(int.Parse(await File.ReadAllTextAsync(file), CultureInfo.InvariantCulture));
        foreach (var server in _servers)
            await server.DisposeAsync();
        _cable.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    private static void Kill(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            process.Kill(entireProcessTree: true);
        }
        catch (ArgumentException)
        {
            // It has ended.
        }
    }

    private static bool Exists(string program) => Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, program)));

    private async Task<string> RunAsync(string host, PageBlock block)
    {
        var network = NetworkOf(host);
        var text = block.TextFor(host).Replace(PagePrefix, network.Address.ToString()[..^1], StringComparison.Ordinal)
            .Replace(Folder, $"{_root}/{host}{Folder}", StringComparison.Ordinal);
        var start = new ProcessStartInfo("bash", ["-e", "-u", "-o", "pipefail", "-c", block.IsServer ? $"setsid {text.Trim()} >/dev/null 2>&1 &" : text])
        {
            WorkingDirectory = _root, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment["PATH"] = $"{_root}/bin:{start.Environment["PATH"]}";
        (start.Environment["ROOT"], start.Environment["SELF"]) = (_root, host);
        // The page's own waits for a calm error rate: ten seconds for each replica.
        start.Environment["SKEIN_ROLLOUT_ERROR_WINDOW"] = "0";
        using var process = await network.RunAsync(() => Process.Start(start) ?? throw new Win32Exception("bash did not start"));
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.WaitForExitAsync().WaitAsync(Until.StartTimeout, TimeProvider.System);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
        Assert.True(process.ExitCode == 0, $"{host} ended with {process.ExitCode}:\n{text}\n--- output\n{await output}\n--- errors\n{await errors}\n{Logs()}");
        return await output + await errors;
    }

    private NetworkNamespace NetworkOf(string host) => _cable.Hosts[_names.ToList().IndexOf(host)];

    private string Logs() => string.Join(
        '\n', Directory.EnumerateFiles(_root, "*.log", SearchOption.AllDirectories).Select(file => $"--- {Path.GetFileName(file)}\n{File.ReadAllText(file)}"));

    private void WriteStandIns()
    {
        var units = PageBlock.Repository("deploy/systemd");
        Write("skein", $"""exec dotnet exec '{Path.Combine(AppContext.BaseDirectory, "skein.dll")}' "$@" """);
        Write("useradd", "exit 0");
        Write("chown", "exit 0");
        Write("llama-server", """
            [[ "$*" == *"--host 127.0.0.1 --port 8000"* ]]
            echo $$ > "$ROOT/$SELF/llama-server.pid"
            exec sleep 300
            """);
        Write("scp", """
            target=${!#}; host=${target%%:*}; path=${target#*:}
            cp "${@:1:$#-1}" "${path//"$ROOT/$SELF/"/"$ROOT/$host/"}"
            """);
        Write("ssh", """
            host=$1; shift
            exec nsenter --net="/proc/$(cat "$ROOT/$host/llama-server.pid")/ns/net" env SELF="$host" "${@//"$ROOT/$SELF/"/"$ROOT/$host/"}"
            """);
        // As Type=notify: it returns when the member serves. As systemd, it has patience: on a busy machine a start takes half a minute.
        Write("systemctl", $$"""
            unit=${!#}; pid="$ROOT/$SELF/$unit.pid"; log="$ROOT/$SELF/$unit.log"
            if [ -e "$pid" ]; then kill "$(cat "$pid")"; tail -s 0.05 --pid="$(cat "$pid")" -f /dev/null; fi
            command=$(sed -n 's/^ExecStart=.*\/skein /skein /p' "{{units}}/$unit.service")
            setsid ${command//\/etc\/skein/$ROOT/$SELF/etc/skein} > "$log" 2>&1 < /dev/null &
            echo $! > "$pid"
            timeout 60 tail -s 0.05 --pid=$! -n +1 -f "$log" | grep -q -m 1 ' is up: '
            """);
    }

    private void Write(string name, string text)
    {
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(_root, "bin")).FullName, name);
        File.WriteAllText(path, $"#!/bin/bash\nset -e\n{text}\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
