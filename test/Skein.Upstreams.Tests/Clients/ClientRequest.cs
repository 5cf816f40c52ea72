namespace Skein.Upstreams.Tests.Clients;

/// <summary>What a client program sends. Immutable.</summary>
/// <param name="Client">Its name, and what the request is for.</param>
/// <param name="Path">Below the gateway.</param>
/// <param name="Body"><c>MODEL</c> stands for the model's name.</param>
internal sealed record ClientRequest(string Client, string Path, string Body)
{
    private const string Chat = "/v1/chat/completions";
    private const string Completion = "/v1/completions";
    private const string Responses = "/v1/responses";

    private const string Weather =
        """
        "name":"get_weather","description":"Weather of a city.","strict":true,
        "parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false,"title":"get_weather_args"}
        """;

    /// <summary>Tokens of each answer; null: as the model likes.</summary>
    public int? Tokens { get; init; }

    /// <summary>Choices of the answer.</summary>
    public int Choices { get; init; } = 1;

    /// <summary>What the embedded engine, which cannot do it, names in <c>param</c>; null: it answers.</summary>
    public string? RefusedParam { get; init; }

    public static IReadOnlyList<ClientRequest> All { get; } =
    [
        new("guidellm, text", Completion,
            """
            {"prompt":"Tell the story of a fox.","model":"MODEL","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},
             "max_tokens":6,"max_completion_tokens":6,"stop":null,"ignore_eos":true}
            """) { Tokens = 6 },
        new("guidellm, chat", Chat,
            """
            {"messages":[{"role":"user","content":[{"type":"text","text":"Tell the story of a fox."}]}],"model":"MODEL","stream":true,
             "stream_options":{"include_usage":true,"continuous_usage_stats":true},"max_completion_tokens":6,"stop":null,"ignore_eos":true}
            """) { Tokens = 6 },
        new("aiperf, chat", Chat,
            """
            {"messages":[{"role":"user","content":"Tell the story of a fox."}],"model":"MODEL","stream":true,"max_completion_tokens":7,
             "stream_options":{"include_usage":true},"min_tokens":7,"ignore_eos":true}
            """) { Tokens = 7 },
        new("aiperf, text", Completion,
            """{"prompt":["Tell the story of a fox."],"model":"MODEL","stream":true,"max_tokens":7,"min_tokens":7,"ignore_eos":true}""") { Tokens = 7 },
        new("vllm bench serve, openai", Completion,
            """
            {"model":"MODEL","prompt":"Tell the story of a fox.","repetition_penalty":1.0,"max_tokens":8,"logprobs":null,"stream":true,
             "stream_options":{"include_usage":true},"temperature":0.0,"ignore_eos":true}
            """) { Tokens = 8 },
        new("vllm bench serve, openai-chat", Chat,
            """
            {"model":"MODEL","messages":[{"role":"user","content":[{"type":"text","text":"Tell the story of a fox."}]}],"max_completion_tokens":8,"stream":true,
             "stream_options":{"include_usage":true},"temperature":0.0,"repetition_penalty":1.0,"ignore_eos":true}
            """) { Tokens = 8 },
        new("LangChain (Python), chat", Chat,
            """{"messages":[{"content":"Be brief.","role":"system"},{"content":"Tell the story","role":"user"}],"model":"MODEL","temperature":0.7,"n":1}"""),
        new("LangChain (Python), chat stream with logprobs", Chat,
            """
            {"messages":[{"content":"Tell the story","role":"user"}],"model":"MODEL","stream":true,"stream_options":{"include_usage":true},"logprobs":true,
             "top_logprobs":2}
            """),
        new("LangChain (Python), history with a tool", Chat,
            """
            {"messages":[{"content":"Tell the story","role":"user"},{"content":null,"role":"assistant","tool_calls":[
              {"type":"function","id":"c1","function":{"name":"get_weather","arguments":"{\"city\": \"Rome\"}"}}]},
              {"content":"sunny","role":"tool","tool_call_id":"c1"}],"model":"MODEL"}
            """),
        new("LangChain (Python), OpenAI.generate", Completion,
            """
            {"model":"MODEL","prompt":["Tell the story","Tell the story again"],"frequency_penalty":0,"logit_bias":{},"max_tokens":5,"n":1,"presence_penalty":0,
             "temperature":0.7,"top_p":1,"seed":null,"logprobs":null,"best_of":1}
            """) { Choices = 2 },
        new("litellm, completion", Chat,
            """{"model":"MODEL","messages":[{"role":"user","content":"Tell the story"}],"max_tokens":9,"user":"u","metadata":{"trace_name":"t"},"drop_params":true}"""),
        new("litellm, text_completion", Completion, """{"model":"MODEL","prompt":["Tell the story","Tell the story again"],"max_tokens":4,"suffix":null}""") { Choices = 2 },
        new("litellm, responses", Responses, """{"model":"MODEL","input":"Tell the story","stream":true,"metadata":{},"max_output_tokens":9,"include":[]}"""),
        new("litellm, anthropic_messages", "/v1/messages",
            """
            {"model":"MODEL","max_tokens":9,"stream":true,"metadata":{"user_id":"u"},
             "messages":[{"role":"user","content":[{"type":"text","text":"Tell the story","cache_control":{"type":"ephemeral"}}]}]}
            """),
        new("inspect, responses", Responses,
            """
            {"model":"MODEL","input":[{"type":"message","role":"developer","content":"Be brief."},
              {"type":"message","role":"user","content":[{"type":"input_text","text":"Tell the story"}]}],
             "store":false,"include":["reasoning.encrypted_content"],"max_output_tokens":9,"temperature":0.5,"truncation":"disabled","prompt_cache_key":"k"}
            """),
        new("inspect, chat with several choices", Chat,
            """
            {"messages":[{"role":"user","content":"Tell the story"}],"model":"MODEL","max_tokens":5,"seed":7,"temperature":1.0,"top_p":0.9,"logprobs":true,
             "top_logprobs":2,"n":2,"stop":["THE END"],"frequency_penalty":0.1,"presence_penalty":0.1}
            """) { Choices = 2 },
        new("inspect, eval with tools", Chat,
            $$$"""
            {"messages":[{"role":"user","content":"Tell the story"}],"model":"MODEL","tool_choice":"auto","parallel_tool_calls":true,
             "tools":[{"type":"function","function":{ {{{Weather}}} }}]}
            """) { RefusedParam = "tools" },
        new("pydantic-ai, responses stream", Responses,
            """
            {"model":"MODEL","input":[{"role":"user","content":"Tell the story"}],"instructions":"Be brief.","stream":true,
             "include":["reasoning.encrypted_content"],"text":{"format":{"type":"text"}}}
            """),
        new("pydantic-ai, chat stream", Chat,
            """
            {"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Tell the story"}],"model":"MODEL","stream":true,
             "stream_options":{"include_usage":true}}
            """),
        new("pydantic-ai, typed output", Chat,
            $$$"""
            {"messages":[{"role":"user","content":"Tell the story"}],"model":"MODEL","stream":false,"tool_choice":"required",
             "tools":[{"type":"function","function":{ {{{Weather}}} }}]}
            """) { RefusedParam = "tool_choice" },
        new("openai-agents, responses stream", Responses,
            """{"include":[],"input":[{"content":"Tell the story","role":"user"}],"instructions":"Be brief.","model":"MODEL","stream":true,"tools":[]}"""),
        new("openai-agents, responses after a tool", Responses,
            """
            {"include":[],"input":[{"content":"Tell the story","role":"user"},
              {"id":"fc_1","type":"function_call","status":"completed","call_id":"c1","name":"get_weather","arguments":"{\"city\":\"Rome\"}"},
              {"call_id":"c1","output":"sunny","type":"function_call_output"}],"model":"MODEL","store":false,"metadata":{},"tools":[],"parallel_tool_calls":true}
            """),
        new("openai-agents, responses with a tool", Responses,
            $$$"""
            {"include":[],"input":[{"content":"Tell the story","role":"user"}],"model":"MODEL","stream":true,"tools":[{"type":"function", {{{Weather}}} }]}
            """) { RefusedParam = "tools" },
        new("openai-agents, chat stream", Chat,
            """
            {"messages":[{"content":"Be brief.","role":"system"},{"role":"user","content":"Tell the story"}],"model":"MODEL","stream":true,
             "stream_options":{"include_usage":true},"store":false,"metadata":null,"reasoning_effort":null,"verbosity":null}
            """),
    ];

    public override string ToString() => Client;
}
