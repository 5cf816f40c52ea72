using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Skein.Conformance.Clients;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(Skein.Conformance.ClientTable))]

// Each test starts a gateway and a client: more of them at the same time would only compete for the processors.
[assembly: Parallelization(MaxThreads = 2)]

namespace Skein.Conformance;

/// <summary>
/// What each client did in each situation. At the end of a run it is written as a page of the documentation, if <c>SKEIN_CLIENTS_PAGE</c> names its file.
/// Thread-safe.
/// </summary>
public sealed class ClientTable : IDisposable
{
    private readonly ConcurrentDictionary<(string Client, string Api, string Situation), (int Good, int All, string? Problem)> _cells = new();

    /// <summary>Runs a test and counts how it ended.</summary>
    /// <param name="api">What the client speaks: chat, responses or messages.</param>
    internal async Task RunAsync(IClient client, string api, string situation, Func<Task> test)
    {
        await client.InstallAsync(); // skips the test if the client cannot be had: not counted
        try
        {
            await test();
            Count(client, api, situation, problem: null);
        }
        catch (Exception e)
        {
            Count(client, api, situation, e.Message);
            throw;
        }
    }

    /// <summary>Counts a run that is over.</summary>
    /// <param name="problem">Null if it ended as it should.</param>
    internal void Count(IClient client, string api, string situation, string? problem) => _cells.AddOrUpdate(
        ($"{client.Name} {client.Version}", api, situation),
        _ => (problem is null ? 1 : 0, 1, problem),
        (_, cell) => (cell.Good + (problem is null ? 1 : 0), cell.All + 1, problem ?? cell.Problem));

    public void Dispose()
    {
        if (Environment.GetEnvironmentVariable("SKEIN_CLIENTS_PAGE") is { Length: > 0 } page && !_cells.IsEmpty)
            File.WriteAllText(page, Write());
    }

    private string Write()
    {
        string[] situations = [.. _cells.Keys.Select(key => key.Situation).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        var page = new StringBuilder(
            """
            # Clients

            What programs of others did with a gateway in front of a scripted OpenAI-compatible engine, or of the engine that the API column names. A cell has the runs
            that ended as they should, of all runs.
            The page is written by the tests: `SKEIN_CONFORMANCE=long SKEIN_CLIENTS_PAGE=FILE dotnet test --project test/Skein.Conformance`.

            """);
        page.Append(CultureInfo.InvariantCulture, $"\n| client | API | {string.Join(" | ", situations)} |\n|---|---|{string.Concat(situations.Select(_ => "---|"))}\n");
        foreach (var client in _cells.Keys.Select(key => (key.Client, key.Api)).Distinct().Order())
        {
            var cells = situations.Select(situation => _cells.TryGetValue((client.Client, client.Api, situation), out var cell)
                ? string.Create(CultureInfo.InvariantCulture, $"{cell.Good}/{cell.All}")
                : "");
            page.Append(CultureInfo.InvariantCulture, $"| {client.Client} | {client.Api} | {string.Join(" | ", cells)} |\n");
        }

        foreach (var (key, cell) in _cells.Where(cell => cell.Value.Problem is not null).OrderBy(cell => cell.Key.Client, StringComparer.Ordinal))
            page.Append(CultureInfo.InvariantCulture, $"\n{key.Client}, {key.Api}, {key.Situation}: {cell.Problem!.ReplaceLineEndings(" ")}\n");
        return page.ToString();
    }
}
