using System.Text.Json.Serialization;
using Skein.Cli.Settings;

namespace Skein.Cli.Commands;

/// <summary>The result of a verb on standard output: JSON with <c>--json</c>, otherwise text.</summary>
internal static class CommandOutput
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    private static readonly JsonSerializerOptions Indented = new(Options) { WriteIndented = true };

    /// <summary><c>--json</c>, a flag of every verb that prints a result.</summary>
    public static Setting<bool> Json { get; } = Setting.Flag("json", "Print JSON");

    public static void Print<T>(SettingSources sources, T result, Action printText, bool indented = false)
    {
        if (Json.Read(sources))
            Console.WriteLine(JsonSerializer.Serialize(result, indented ? Indented : Options));
        else
            printText();
    }
}
