using Skein.Operations.Chaos;

namespace Skein.Operations.Tests.Chaos;

public class ServerCommandTests
{
    private static readonly Uri Server = new("http://gpu-1:8000/v1");

    [Theory]
    [InlineData("ssh {host} systemctl restart vllm", "ssh|gpu-1|systemctl|restart|vllm")]
    [InlineData("curl '{url}'", "curl|http://gpu-1:8000/v1")]
    [InlineData("sh -c 'fuser -k {port}/tcp'", "sh|-c|fuser -k 8000/tcp")]
    public void For_Server_IsPutIn(string text, string words) =>
        Assert.Equal(words.Split('|'), ServerCommand.Parse("--restart-command", text, "{url}", "{host}", "{port}").For(Server));

    [Theory]
    [InlineData("llama-server --port 8000", "--server-command 'llama-server --port 8000' does not say which server; allowed: a command with {port} in it")]
    [InlineData("a '{port}", "--server-command 'a '{port}' has an open quote ('); allowed: quotes in pairs")]
    public void Parse_Wrong_SaysWhat(string text, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => ServerCommand.Parse("--server-command", text, "{port}")).Message);
}
