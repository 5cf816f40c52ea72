using YamlDotNet.RepresentationModel;

namespace Skein.Cli.Tests.Deploy;

/// <summary>The Kubernetes manifests and the compose file: what they pass to skein is understood, and their parts fit together.</summary>
public sealed class ManifestTests
{
    private static readonly string[] Manifests = ["kubernetes/gateway.yaml", "kubernetes/replica-vllm.yaml"];

    public static TheoryData<string, string> Containers =>
        new(Manifests.SelectMany(file => Workloads(file).SelectMany(workload => Skeins(workload).Select(container => (file, container.TextAt("name")!)))));

    [Fact]
    public void Containers_OfBothManifests_AreFound() => Assert.Equal(
        [("kubernetes/gateway.yaml", "gateway"), ("kubernetes/replica-vllm.yaml", "replica")], Containers.Select(row => row.Data));

    [Theory]
    [MemberData(nameof(Containers))]
    public void Arguments_OfAContainer_AreUnderstood(string file, string name)
    {
        var parsed = SkeinCommand.Create().Parse([.. Container(file, name).TextsAt("args")]);

        Assert.Empty(parsed.Errors);
        Assert.Equal(name, parsed.CommandResult.Command.Name);
    }

    [Theory]
    [MemberData(nameof(Containers))]
    public void GraceOfThePod_IsLongerThanThatOfTheMember(string file, string name)
    {
        var flags = Container(file, name).TextsAt("args");
        var pod = Workloads(file).Select(workload => workload.At("spec.template.spec")).Single(spec => spec.ListAt("containers").Any(each => each.TextAt("name") == name));

        var member = Seconds(flags, "--grace") + Seconds(flags, "--lame-duck");

        Assert.True(int.Parse(pod.TextAt("terminationGracePeriodSeconds")!) >= member + 10, $"the pod ends before the {member} s of the member");
    }

    [Theory]
    [MemberData(nameof(Containers))]
    public void Probes_AskPathsAndPortsThatExist(string file, string name)
    {
        var container = Container(file, name);
        var ports = container.ListAt("ports").Select(port => port.TextAt("name")).ToList();
        foreach (var probe in (string[])["startupProbe", "readinessProbe", "livenessProbe"])
        {
            if (container.At(probe) is not { } asked)
                continue;
            Assert.Contains(asked.TextAt("httpGet.port") ?? asked.TextAt("tcpSocket.port"), ports);
            Assert.Contains(asked.TextAt("httpGet.path") ?? "/livez", (string[])["/livez", "/readyz"]);
        }
    }

    [Theory]
    [InlineData("kubernetes/gateway.yaml")]
    [InlineData("kubernetes/replica-vllm.yaml")]
    public void Selectors_FindThePodsOfTheFile(string file)
    {
        var documents = DeployFiles.Yaml(file);
        var pods = documents.Select(document => document.MapAt("spec.template.metadata.labels")).Single(labels => labels.Count > 0);
        foreach (var document in documents)
        {
            var selector = document.TextAt("kind") == "Service" ? document.MapAt("spec.selector") : document.MapAt("spec.selector.matchLabels");
            Assert.All(selector, label => Assert.Equal(label.Value, pods[label.Key]));
            if (document.TextAt("kind") is not "HorizontalPodAutoscaler")
                Assert.NotEmpty(selector);
        }
    }

    [Fact]
    public void Seeds_AreTheHeadlessServiceOfAllMembers()
    {
        var service = DeployFiles.Yaml(Manifests[0]).Single(document => document.TextAt("metadata.name") == "skein-gossip");

        Assert.Equal("None", service.TextAt("spec.clusterIP"));
        Assert.Equal("true", service.TextAt("spec.publishNotReadyAddresses"));
        Assert.Equal(["TCP", "UDP"], service.ListAt("spec.ports").Select(port => port.TextAt("protocol")).Order(StringComparer.Ordinal));
        Assert.All(Manifests.SelectMany(file => Workloads(file)).SelectMany(Skeins), container => Assert.Contains("--join=skein-gossip:7946", container.TextsAt("args")));
    }

    [Fact]
    public void Secrets_AreMountedWhereTheFlagsLookForThem()
    {
        foreach (var container in Manifests.SelectMany(file => Workloads(file)).SelectMany(Skeins))
        {
            var mounts = container.ListAt("volumeMounts").Select(mount => mount.TextAt("mountPath")!).ToList();
            var files = container.TextsAt("args").Where(flag => flag.Contains("=/", StringComparison.Ordinal)).Select(flag => flag.Split('=')[1]);
            Assert.All(files, file => Assert.Contains(mounts, mount => file.StartsWith(mount + "/", StringComparison.Ordinal)));
        }
    }

    [Fact]
    public void Compose_ArgumentsAreUnderstoodAndTheStopWaitsForTheGrace()
    {
        var gateway = Assert.Single(DeployFiles.Yaml("compose/compose.yaml")).At("services.gateway");
        var flags = gateway.TextsAt("command");

        Assert.Empty(SkeinCommand.Create().Parse([.. flags]).Errors);
        Assert.True(int.Parse(gateway.TextAt("stop_grace_period")!.TrimEnd('s')) >= Seconds(flags, "--grace") + 10);
        var services = DeployFiles.Yaml("compose/compose.yaml")[0].At("services") as YamlMappingNode;
        var upstreams = flags.Single(flag => flag.StartsWith("--upstream=", StringComparison.Ordinal)).Split('=')[1].Split(',');
        Assert.All(upstreams, upstream => Assert.True(services!.Children.ContainsKey(new YamlScalarNode(new Uri(upstream).Host)), upstream));
    }

    private static int Seconds(IEnumerable<string> flags, string name) =>
        flags.FirstOrDefault(flag => flag.StartsWith(name + "=", StringComparison.Ordinal)) is { } flag ? int.Parse(flag.Split('=')[1].TrimEnd('s')) : 0;

    private static YamlNode Container(string file, string name) =>
        Workloads(file).SelectMany(Skeins).Single(container => container.TextAt("name") == name);

    private static IEnumerable<YamlNode> Workloads(string file) => DeployFiles.Yaml(file).Where(document => document.TextAt("kind") == "Deployment");

    private static IEnumerable<YamlNode> Skeins(YamlNode workload) => workload.ListAt("spec.template.spec.containers")
        .Where(container => container.TextAt("image")!.StartsWith("skein:", StringComparison.Ordinal));
}
