using System.Text;
using Skein.Engines.Text;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Refuses what no server behind this engine can do. The rest is the server's to judge.</summary>
internal static class ServerRequestChecks
{
    private const int MostStops = 16;
    private const int MostStopBytes = 1_024;
    private const uint MostLogprobs = 20;

    /// <exception cref="FaultException">The message names the field, its value and what is allowed.</exception>
    public static void Check(OpenAiEngineKind kind, GenerateRequest request)
    {
        // Its own call, which gives ids, takes no notice of them; those of the others know them or refuse them.
        if (kind == OpenAiEngineKind.LlamaCpp)
        {
            CompletionMembers.RefuseBestOfAndSuffix(request);
        }

        Require(request.PromptCase != GenerateRequest.PromptOneofCase.None, "prompt", "missing", "a text, token ids or a chat");
        Require(request.TokenIds is null or { Ids.Count: > 0 }, "prompt.token_ids", "empty", "at least one id");
        Require(request.N <= 1, "n", request.N, "1: an engine makes one choice at a time");
        Require(!request.HasMaxTokens || request.MaxTokens <= int.MaxValue, "max_tokens", request.MaxTokens, $"0 to {int.MaxValue}");
        Require(!request.HasLogprobs || request.Logprobs <= MostLogprobs, "logprobs", request.Logprobs, $"0 to {MostLogprobs}");
        Require(request.Stop.Count <= MostStops, "stop", $"{request.Stop.Count} texts", $"at most {MostStops}");
        for (var i = 0; i < request.Stop.Count; i++)
        {
            var bytes = Encoding.UTF8.GetByteCount(request.Stop[i]);
            Require(bytes is >= 1 and <= MostStopBytes, $"stop[{i}]", $"{bytes} bytes long", $"1 to {MostStopBytes}");
        }

        Require(!request.Echo || request.Chat is null, "echo", true, "false for a chat");
    }

    private static void Require(bool isRight, string field, object value, string allowed)
    {
        if (!isRight)
        {
            throw new FaultException(Fault.InvalidRequest, FormattableString.Invariant($"{field} is {value}; allowed: {allowed}"));
        }
    }
}
