using System.Collections.Frozen;
using System.Globalization;

namespace Skein.Engines.Requests;

/// <summary>
/// Members of OpenAI's API and of the known servers that an engine of our own cannot obey. It refuses them by name: an engine that ignored them would give an
/// answer that looks right and is wrong. Values that ask for nothing are accepted. Members that no API has, and those that do not change the answer, are
/// ignored.
/// </summary>
internal static class MemberChecks
{
    /// <summary>Members, each with the values that ask for nothing.</summary>
    private static readonly FrozenDictionary<string, string[]> Unsupported = new Dictionary<string, string[]>(StringComparer.Ordinal)
    {
        // Fields of a request: as further members they are of another endpoint, such as messages of a completion.
        ["messages"] = ["[]"],
        ["prompt"] = ["\"\"", "[]"],
        ["tools"] = ["[]"],
        ["tool_choice"] = ["\"none\"", "\"auto\""],
        ["max_tokens"] = ["-1"],
        ["max_completion_tokens"] = ["-1"],
        ["stop"] = ["[]"],
        ["n"] = ["1"],
        ["logprobs"] = ["false", "0"],
        ["top_logprobs"] = ["0"],
        ["temperature"] = [],
        ["top_p"] = ["1"],
        ["top_k"] = ["0", "-1"],
        ["min_p"] = ["0"],
        ["seed"] = ["-1"],
        ["presence_penalty"] = ["0"],
        ["frequency_penalty"] = ["0"],
        ["repetition_penalty"] = ["1"],
        // OpenAI
        ["functions"] = ["[]"],
        ["function_call"] = ["\"none\"", "\"auto\""],
        ["modalities"] = ["[\"text\"]"],
        ["audio"] = [],
        ["prediction"] = [],
        ["web_search_options"] = [],
        ["best_of"] = ["0", "1"],
        ["suffix"] = ["\"\""],
        // Grammars
        ["guided_json"] = [],
        ["guided_regex"] = [],
        ["guided_choice"] = [],
        ["guided_grammar"] = [],
        // Of completions: chats have a field of their own.
        ["response_format"] = ["{\"type\":\"text\"}"],
        ["structured_outputs"] = ["{}"],
        ["json_schema"] = ["{}"],
        ["regex"] = [],
        ["ebnf"] = [],
        ["grammar"] = ["\"\""],
        ["structural_tag"] = [],
        // How long the answer is, by other names than max_tokens and min_tokens
        ["n_predict"] = ["-1"],
        ["max_new_tokens"] = [],
        ["max_length"] = [],
        ["min_new_tokens"] = ["0"],
        ["min_length"] = ["0"],
        ["t_max_predict_ms"] = ["0", "-1"],
        ["thinking_token_budget"] = [],
        // Which tokens may come, and where the answer ends
        // Biases of texts, or false for never: pairs of ids and numbers are read.
        ["logit_bias"] = ["[]"],
        ["stop_regex"] = ["[]", "\"\""],
        ["stop_words"] = ["[]"],
        ["no_stop_trim"] = ["false"],
        ["custom_logit_processor"] = [],
        ["custom_params"] = ["{}"],
        ["vllm_xargs"] = ["{}"],
        ["no_repeat_ngram_size"] = ["0"],
        ["banned_strings"] = ["[]"],
        ["banned_tokens"] = ["[]"],
        ["custom_token_bans"] = ["\"\""],
        ["ban_eos_token"] = ["false"],
        ["num_beams"] = ["1"],
        ["beam_width"] = ["1"],
        ["guidance_scale"] = ["1"],
        ["negative_prompt"] = ["\"\""],
        ["epsilon_cutoff"] = ["0"],
        ["eta_cutoff"] = ["0"],
        ["smoothing_factor"] = ["0"],
        ["top_n_sigma"] = ["0", "-1"],
        ["mirostat_mode"] = ["0"],
        ["samplers"] = [],
        ["watermark"] = ["false"],
        ["stop_token_ids"] = ["[]"],
        ["bad_words"] = ["[]"],
        ["allowed_token_ids"] = [],
        ["logits_processors"] = ["[]"],
        ["use_beam_search"] = ["false"],
        ["length_penalty"] = ["1"],
        ["include_stop_str_in_output"] = ["false"],
        ["typical_p"] = ["1"],
        ["tfs_z"] = ["1"],
        ["top_a"] = ["0"],
        ["mirostat"] = ["0"],
        ["xtc_probability"] = ["0"],
        ["dry_multiplier"] = ["0"],
        ["dynatemp_range"] = ["0"],
        ["repeat_penalty"] = ["1"],
        // What the model and its prompt are
        ["lora_path"] = ["\"\""],
        ["lora_request"] = [],
        ["lora"] = ["[]"],
        ["adapter_id"] = ["\"\""],
        ["prompt_embeds"] = ["[]", "\"\""],
        ["input_embeds"] = ["[]"],
        ["input_ids"] = [],
        ["image_data"] = [],
        ["multimodal_data"] = ["[]"],
        ["add_bos_token"] = ["true"],
        ["input_prefix"] = ["\"\""],
        ["input_suffix"] = ["\"\""],
        ["truncate"] = [],
        ["echo"] = ["false"],
        ["add_generation_prompt"] = ["true"],
        ["continue_final_message"] = ["false"],
        ["chat_template"] = [],
        ["chat_template_kwargs"] = ["{}", "{\"enable_thinking\":false}"], // none of its templates thinks
        ["documents"] = ["[]"],
        ["truncate_prompt_tokens"] = [],
        // What the answer tells
        ["prompt_logprobs"] = ["false"],
        ["n_probs"] = ["0"],
        ["logprob_token_ids"] = ["[]"],
        ["token_ids_logprob"] = ["[]"],
        ["return_logprob"] = ["false"],
        ["top_logprobs_num"] = ["0"],
        ["top_n_tokens"] = ["0"],
        ["post_sampling_probs"] = ["false"],
        ["return_hidden_states"] = ["false"],
        ["return_full_text"] = ["false"],
        ["return_token_ids"] = ["false"],
        ["return_tokens_as_token_ids"] = ["false"],
        ["skip_special_tokens"] = ["true"],
        ["detokenize"] = ["true"],
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Members that ask for the rest of an answer that the client began. Clients of other APIs ask for it by their last message.</summary>
    private static readonly string[] ContinuesLastMessage = ["add_generation_prompt", "continue_final_message"];

    private const string CannotContinue =
        "asks this engine to continue the last message, which it cannot do; allowed: a last message that is not the assistant's";

    /// <exception cref="FaultException">A member asks for what this engine cannot do.</exception>
    public static void RefuseUnsupported(GenerateRequest request)
    {
        foreach (var member in request.Extra)
        {
            if (!Unsupported.TryGetValue(member.Name, out var neutral))
                continue;
            var json = Compact(member);
            if (json == "null" || neutral.Contains(json) || (Number(json) is { } number && neutral.Any(value => Number(value) == number)))
                continue;
            if (ContinuesLastMessage.Contains(member.Name))
                throw new FaultException(Fault.Unsupported, $"{member.Name} {CannotContinue}") { Param = member.Name };
            var allowed = neutral.Length > 0 ? string.Join(" or ", neutral) : "absent";
            throw new FaultException(Fault.Unsupported, $"{RequestChecks.Refused(member.Name, json, allowed).Message}: this engine cannot do it")
            {
                Param = member.Name,
            };
        }
    }

    /// <summary>A member that is true or false.</summary>
    /// <param name="otherwise">Its value if it is absent.</param>
    /// <exception cref="FaultException">It is neither.</exception>
    public static bool Flag(GenerateRequest request, string name, bool otherwise = false) => Find(request, name) switch
    {
        null or "null" => otherwise,
        "false" => false,
        "true" => true,
        var other => throw RequestChecks.Refused(name, other, "true or false"),
    };

    /// <summary>A member that is a whole number; absent: 0.</summary>
    /// <exception cref="FaultException">It is none from 0 to <paramref name="most"/>.</exception>
    public static int Whole(GenerateRequest request, string name, int most, string allowed) => Find(request, name) switch
    {
        null or "null" => 0,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= most => number,
        var other => throw RequestChecks.Refused(name, other, allowed),
    };

    private static string? Find(GenerateRequest request, string name) =>
        request.Extra.FirstOrDefault(member => member.Name == name) is { } member ? Compact(member) : null;

    private static double? Number(string json) =>
        double.TryParse(json, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    // Checked JSON, which may have blanks between its tokens.
    private static string Compact(RawMember member)
    {
        var json = member.Json.ToStringUtf8();
        return json.Length > 64 || json.Contains('"', StringComparison.Ordinal) && json.Contains(' ', StringComparison.Ordinal) && json[0] == '"'
            ? json
            : string.Concat(json.Where(static c => !char.IsWhiteSpace(c)));
    }
}
