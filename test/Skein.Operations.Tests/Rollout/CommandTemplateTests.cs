using Skein.Operations.Rollout;

namespace Skein.Operations.Tests.Rollout;

public class CommandTemplateTests
{
    [Theory]
    [InlineData("ssh {name} systemctl restart skein", "ssh|replica-1|systemctl|restart|skein")]
    [InlineData("  a\t{name}  ", "a|replica-1")]
    [InlineData("a 'b {name}' \"c  d\"", "a|b replica-1|c  d")]
    [InlineData("a --to={name}@{revision}", "a|--to=replica-1@r2")]
    [InlineData(@"a b\ c '\{name}' """" ""\""""", @"a|b c|\replica-1||""")]
    [InlineData("sh -c 'restart \"$1\" > log' sh {name}", "sh|-c|restart \"$1\" > log|sh|replica-1")]
    public void For_Words_AreCutBeforeTheNameIsPutIn(string text, string words) =>
        Assert.Equal(words.Split('|'), CommandTemplate.Parse("--command", text).For("replica-1", "r2"));

    [Theory]
    [InlineData("a;reboot")]
    [InlineData("$(reboot)")]
    [InlineData("a b")]
    [InlineData("-rf")]
    [InlineData("../x")]
    public void For_NameThatIsMoreThanAName_IsRefused(string name)
    {
        var refused = Assert.Throws<CommandFailedException>(() => CommandTemplate.Parse("--command", "sh -c 'kill {name}'").For(name, "r2"));

        Assert.StartsWith($"'{name}' is not put into --command; allowed: ", refused.Message);
    }

    [Theory]
    [InlineData("a 'b {name}", "--command 'a 'b {name}' has an open quote ('); allowed: quotes in pairs")]
    [InlineData("systemctl restart skein", "--command 'systemctl restart skein' does not say which replica; allowed: a command with {name} in it")]
    public void Parse_Wrong_SaysWhat(string text, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => CommandTemplate.Parse("--command", text)).Message);
}
