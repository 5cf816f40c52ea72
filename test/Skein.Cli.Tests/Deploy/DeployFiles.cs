using System.Runtime.CompilerServices;
using YamlDotNet.RepresentationModel;

namespace Skein.Cli.Tests.Deploy;

/// <summary>The files under <c>deploy/</c> of this repository.</summary>
internal static class DeployFiles
{
    public static string Root { get; } = Path.GetFullPath(Path.Combine(Here(), "../../../deploy"));

    public static string PathOf(string file) => Path.Combine(Root, file);

    /// <summary>The documents of a YAML file.</summary>
    public static IReadOnlyList<YamlNode> Yaml(string file)
    {
        using var reader = new StreamReader(PathOf(file));
        var stream = new YamlStream();
        stream.Load(reader);
        return [.. stream.Documents.Select(document => document.RootNode)];
    }

    /// <summary>A node by its path, such as <c>spec.template.metadata</c>; null if there is none.</summary>
    public static YamlNode? At(this YamlNode? node, string path) => path.Split('.').Aggregate(
        node, (current, name) => current is YamlMappingNode map && map.Children.TryGetValue(new YamlScalarNode(name), out var child) ? child : null);

    public static string? TextAt(this YamlNode? node, string path) => (node.At(path) as YamlScalarNode)?.Value;

    public static IReadOnlyList<YamlNode> ListAt(this YamlNode? node, string path) => node.At(path) is YamlSequenceNode list ? [.. list.Children] : [];

    public static IReadOnlyList<string> TextsAt(this YamlNode? node, string path) => [.. node.ListAt(path).Select(item => ((YamlScalarNode)item).Value!)];

    /// <summary>A map of texts.</summary>
    public static IReadOnlyDictionary<string, string> MapAt(this YamlNode? node, string path) => node.At(path) is YamlMappingNode map
        ? map.Children.ToDictionary(pair => ((YamlScalarNode)pair.Key).Value!, pair => ((YamlScalarNode)pair.Value).Value!, StringComparer.Ordinal)
        : new Dictionary<string, string>(StringComparer.Ordinal);

    private static string Here([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
