using System.Text;
using Skein.Engines.Text;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Simulated;

/// <summary>Holds a request against the ranges that the wire contract gives its fields.</summary>
internal static class SimulatedRequestChecks
{
    private const int MostStops = 16;
    private const int MostStopBytes = 1024;
    private const int MostLogprobs = 20;
    private const int MostBiases = 1024;

    /// <exception cref="FaultException">A field is out of its range; the message names it, its value and what is allowed.</exception>
    public static void Check(GenerateRequest request)
    {
        Require(request.N <= 1, "n", request.N, "1: an engine makes one choice per call");
        Require(!request.HasLogprobs || request.Logprobs <= MostLogprobs, "logprobs", request.Logprobs, $"0 to {MostLogprobs}");
        Require(request.Stop.Count <= MostStops, "stop", $"{request.Stop.Count} texts", $"at most {MostStops}");
        for (var i = 0; i < request.Stop.Count; i++)
        {
            var bytes = Encoding.UTF8.GetByteCount(request.Stop[i]);
            Require(bytes is >= 1 and <= MostStopBytes, $"stop[{i}]", $"{bytes} bytes long", $"1 to {MostStopBytes}");
        }

        Require(!request.Echo || request.PromptCase != GenerateRequest.PromptOneofCase.Chat, "echo", true, "only with a text or token_ids prompt");
        CompletionMembers.RefuseBestOfAndSuffix(request);
        if (request.Sampling is { } sampling)
        {
            Check(sampling);
        }
    }

    private static void Check(Sampling sampling)
    {
        Require(sampling.Temperature is >= 0 and <= 2, "temperature", sampling.Temperature, "0 to 2");
        Require(!sampling.HasTopP || sampling.TopP is > 0 and <= 1, "top_p", sampling.TopP, "above 0, to 1");
        Require(sampling.MinP is >= 0 and <= 1, "min_p", sampling.MinP, "0 to 1");
        Require(sampling.PresencePenalty is >= -2 and <= 2, "presence_penalty", sampling.PresencePenalty, "-2 to 2");
        Require(sampling.FrequencyPenalty is >= -2 and <= 2, "frequency_penalty", sampling.FrequencyPenalty, "-2 to 2");
        Require(
            !sampling.HasRepetitionPenalty || (sampling.RepetitionPenalty > 0 && float.IsFinite(sampling.RepetitionPenalty)),
            "repetition_penalty", sampling.RepetitionPenalty, "above 0");
        Require(sampling.LogitBias.Count <= MostBiases, "logit_bias", $"{sampling.LogitBias.Count} members long", $"at most {MostBiases}");
        foreach (var (id, bias) in sampling.LogitBias)
        {
            Require(SimulatedVocabulary.Contains(id), "logit_bias", $"set for token {id}", "tokens of the model");
            Require(bias is >= -100 and <= 100, $"logit_bias[{id}]", bias, "-100 to 100");
        }
    }

    private static void Require<T>(bool isRight, string field, T value, string allowed)
    {
        if (!isRight)
        {
            throw new FaultException(Fault.InvalidRequest, FormattableString.Invariant($"{field} is {value}; allowed: {allowed}"));
        }
    }
}
