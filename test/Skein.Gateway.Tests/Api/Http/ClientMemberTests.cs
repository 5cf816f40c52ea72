using System.Net;
using System.Text.Json;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>An engine refuses a member by the name that the gateway gave it: the client is told the name that it sent.</summary>
public sealed class ClientMemberTests
{
    private const string Messages = """{"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}""";
    private const string Responses = """{"model":"tiny","input":"hi"}""";
    private const string Completion = """{"model":"tiny","prompt":[1,2]}""";

    [Theory]
    [InlineData("/v1/messages", Messages, "response_format", "output_config.format")]
    [InlineData("/v1/messages", Messages, "chat_template_kwargs", "thinking")]
    [InlineData("/v1/messages", Messages, "add_generation_prompt", "messages")]
    [InlineData("/v1/messages", Messages, "messages[3].content[0]", "messages")]
    [InlineData("/v1/messages", Messages, "stop", "stop_sequences")]
    [InlineData("/v1/messages", Messages, "max_tokens", "max_tokens")]
    [InlineData("/v1/messages/count_tokens", Messages, "response_format", "output_config.format")]
    [InlineData("/v1/responses", Responses, "response_format", "text.format")]
    [InlineData("/v1/responses", Responses, "max_tokens", "max_output_tokens")]
    [InlineData("/v1/responses", Responses, "messages[0].content[0]", "input")]
    [InlineData("/v1/responses", Responses, "reasoning_effort", "reasoning.effort")]
    [InlineData("/v1/completions", Completion, "prompt.token_ids[1]", "prompt[1]")]
    [InlineData("/v1/chat/completions", Requests.WholeChat, "response_format", "response_format")]
    public async Task Post_EngineRefusesAMember_ClientIsToldItsOwnName(string path, string body, string member, string expected)
    {
        await using var gateway = await TestGateway.StartAsync(session => session.Fail(
            new FaultException(Fault.InvalidRequest, $"{member} is 5; allowed: absent") { Param = member }));

        using var response = await gateway.Client.PostAsync(path, Requests.Json(body));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
        Assert.Equal($"{expected} is 5; allowed: absent", error.GetProperty("message").GetString());
        if (!path.Contains("messages", StringComparison.Ordinal)) // Anthropic's errors have no member for it
            Assert.Equal(expected, error.GetProperty("param").GetString());
    }
}
