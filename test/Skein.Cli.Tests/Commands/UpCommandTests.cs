using Skein.Cli.Commands;
using Skein.Cli.Tests.Settings;

namespace Skein.Cli.Tests.Commands;

public class UpCommandTests
{
    /// <summary>Three replicas in front of one server sent it three times what it can run.</summary>
    [Theory]
    [InlineData(1, "--engine http://127.0.0.1:1")]
    [InlineData(2, "--engine http://127.0.0.1:1 --engine http://127.0.0.1:2")]
    [InlineData(3, "--engine simulated")]
    [InlineData(3, "")]
    [InlineData(2, "--replicas 2")]
    public void Specs_Replicas_AreOneForEachServer(int replicas, string flags)
    {
        var specs = UpCommand.Specs(TestSources.Of(UpCommand.Settings, flags));

        Assert.Equal(replicas, specs.Count(spec => spec.Name.StartsWith("replica", StringComparison.Ordinal)));
    }

    /// <summary>The flags were refused: '--policy' was not a flag of 'up'.</summary>
    [Fact]
    public void Specs_SettingsOfGateways_ReachEachGatewayAndNoReplica()
    {
        var specs = UpCommand.Specs(TestSources.Of(
            UpCommand.Settings, "--gateways 2 --policy prefix-affinity --grpc 8081 --queue-length 7 --tenant-fairness --alias a=m --grace 90s"));

        var gateways = specs.Where(spec => spec.Verb == "gateway").Select(spec => string.Join(' ', spec.Arguments)).ToList();
        Assert.Equal(2, gateways.Count);
        Assert.All(gateways, flags => Assert.All(
            ["--policy prefix-affinity", "--queue-length 7", "--tenant-fairness True", "--alias a=m"],
            flag => Assert.Contains(flag, flags, StringComparison.Ordinal)));
        Assert.All(specs, spec => Assert.Contains("--grace 1.5m", string.Join(' ', spec.Arguments), StringComparison.Ordinal));
        Assert.Contains("--grpc 8081", gateways[0], StringComparison.Ordinal);
        Assert.Contains("--grpc 0", gateways[1], StringComparison.Ordinal);
        Assert.DoesNotContain(specs.Where(spec => spec.Verb == "replica"), spec => spec.Arguments.Contains("--policy"));
    }

    [Theory]
    [InlineData("--policy best")]
    [InlineData("--queue-length x")]
    [InlineData("--grace soon")]
    public void Specs_ValueOfAGatewayThatIsNotAllowed_IsRefusedBeforeAnythingStarts(string flags) =>
        Assert.StartsWith(flags.Split(' ')[0], Assert.Throws<UsageException>(() => UpCommand.Specs(TestSources.Of(UpCommand.Settings, flags))).Message);

    /// <summary>Members read what 'up' gives them: a switch with its value, a time, a list.</summary>
    [Fact]
    public void Specs_FlagsOfAGateway_AreReadByTheGateway()
    {
        var spec = UpCommand.Specs(TestSources.Of(UpCommand.Settings, "--tenant-fairness --measured-weights --alias a=m,n --queue-timeout 90s"))[0];
        var read = GatewayCommand.Read(TestSources.Of(GatewayCommand.Settings, string.Join(' ', spec.Arguments))).Options;

        Assert.True(read.Admission.TenantFairness && read.Admission.MeasuredWeights);
        Assert.Equal(TimeSpan.FromSeconds(90), read.Admission.QueueTimeout);
        Assert.Equal(["m", "n"], read.Aliases.Single().Models);
    }
}
