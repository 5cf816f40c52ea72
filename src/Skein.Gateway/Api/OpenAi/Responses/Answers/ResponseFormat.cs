using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Answers;

namespace Skein.Gateway.Api.OpenAi.Responses.Answers;

/// <summary>Writes the objects of an answer that events and whole answers share. Not thread-safe.</summary>
internal sealed class ResponseFormat(ResponsePlan plan, string sessionId)
{
    public const string InProgress = "in_progress";
    public const string Completed = "completed";
    public const string Incomplete = "incomplete";
    public const string Failed = "failed";

    /// <summary>How an answer ended, as its <c>status</c>.</summary>
    public static string StatusOf(Finish? finish) => finish?.Reason is FinishReason.Length or FinishReason.ContentFilter ? Incomplete : Completed;

    /// <summary>Writes a response object.</summary>
    /// <param name="items">Its output.</param>
    /// <param name="error">Why it failed; null: it did not.</param>
    public void Write(scoped ref JsonSink json, string status, AnswerItems items, ApiError? error = null)
    {
        json.Raw("{\"id\":"u8);
        json.Text("resp_" + sessionId);
        json.Raw(",\"object\":\"response\",\"created_at\":"u8);
        json.Number(plan.Created);
        json.Raw(",\"status\":"u8);
        json.Text(status);
        json.Raw(",\"error\":"u8);
        WriteError(ref json, error);
        json.Raw(",\"incomplete_details\":"u8);
        WriteIncomplete(ref json, status == Incomplete ? items.Finish : null);
        json.Raw(",\"model\":"u8);
        json.Text(items.Start is { Model.Length: > 0 } start ? start.Model : plan.Model);
        json.Raw(",\"output\":["u8);
        for (var i = 0; i < items.All.Count; i++)
        {
            json.Separate(i);
            WriteItem(ref json, items.All[i], StatusOf(items, i, status));
        }

        json.Raw("],\"usage\":"u8);
        WriteUsage(ref json, items.Finish?.Usage);
        json.Raw(plan.Repeated);
        json.Raw("}"u8);
    }

    public void WriteItem(scoped ref JsonSink json, AnswerItem item, string status)
    {
        switch (item.Kind)
        {
            case AnswerItemKind.Reasoning:
                WriteItemHead(ref json, item, "reasoning", status);
                json.Raw(",\"summary\":[],\"content\":["u8);
                break;
            case AnswerItemKind.Call:
                WriteCall(ref json, item, status, CallContent(item));
                return;
            default:
                WriteItemHead(ref json, item, "message", status);
                json.Raw(",\"role\":\"assistant\",\"content\":["u8);
                break;
        }

        if (status != InProgress)
            WritePart(ref json, item, item.Content, item.Logprobs);
        json.Raw("]}"u8);
    }

    /// <summary>Keeps a finished item for requests that refer to it.</summary>
    public void Keep(AnswerItem item)
    {
        if (plan.Kept is not { } kept)
            return;
        var bytes = new ArrayBufferWriter<byte>(256);
        var json = new JsonSink(bytes);
        WriteItem(ref json, item, Completed);
        json.Complete();
        kept.Keep(Encoding.ASCII.GetString(IdOf(item)), bytes.WrittenSpan.ToArray());
    }

    /// <summary>Writes a content part.</summary>
    public void WritePart(scoped ref JsonSink json, AnswerItem item, ReadOnlySpan<byte> text, IReadOnlyList<TokenLogprob> logprobs)
    {
        switch (item.Kind)
        {
            case AnswerItemKind.Reasoning:
                json.Raw("{\"type\":\"reasoning_text\",\"text\":"u8);
                json.Text(text);
                json.Raw("}"u8);
                break;
            case AnswerItemKind.Refusal:
                json.Raw("{\"type\":\"refusal\",\"refusal\":"u8);
                json.Text(text);
                json.Raw("}"u8);
                break;
            default:
                json.Raw("{\"type\":\"output_text\",\"annotations\":[],\"text\":"u8);
                json.Text(text);
                WriteLogprobs(ref json, logprobs);
                json.Raw("}"u8);
                break;
        }
    }

    /// <summary>Writes a further member with the log probabilities of a text.</summary>
    public void WriteLogprobs(scoped ref JsonSink json, IReadOnlyList<TokenLogprob> logprobs)
    {
        json.Raw(",\"logprobs\":"u8);
        ChatFormat.WriteTokens(ref json, plan.WithLogprobs ? logprobs : []);
    }

    public ReadOnlySpan<byte> IdOf(AnswerItem item) => item.Id ??= Encoding.ASCII.GetBytes(MakeId(item));

    public bool IsCustom(AnswerItem call) => plan.Tools.ToolOf(call.Name).IsCustom;

    /// <summary>The name of the tool that is called, on the client's side.</summary>
    public string NameOf(AnswerItem call) => plan.Tools.ToolOf(call.Name).Name;

    /// <summary>What the called tool gets: the arguments, or the text of a custom tool.</summary>
    public ReadOnlySpan<byte> CallContent(AnswerItem call) =>
        IsCustom(call) ? CustomInput.FromArguments(call.Content) : call.Content.IsEmpty && call.HasEnded ? "{}"u8 : call.Content;

    private string MakeId(AnswerItem item)
    {
        var prefix = item.Kind switch
        {
            AnswerItemKind.Reasoning => "rs",
            AnswerItemKind.Call => IsCustom(item) ? "ctc" : "fc",
            _ => "msg",
        };
        return string.Create(CultureInfo.InvariantCulture, $"{prefix}_{sessionId}_{item.Index}");
    }

    private static string StatusOf(AnswerItems items, int index, string status) => items.All[index].HasEnded
        ? status == Incomplete && index == items.All.Count - 1 ? Incomplete : Completed
        : status == InProgress ? InProgress : Incomplete;

    private void WriteCall(scoped ref JsonSink json, AnswerItem call, string status, ReadOnlySpan<byte> content)
    {
        var tool = plan.Tools.ToolOf(call.Name);
        WriteItemHead(ref json, call, tool.IsCustom ? "custom_tool_call" : "function_call", status);
        json.Raw(",\"call_id\":"u8);
        json.Text(call.CallId);
        json.Raw(",\"name\":"u8);
        json.Text(tool.Name);
        if (tool.Namespace is not null)
        {
            json.Raw(",\"namespace\":"u8);
            json.Text(tool.Namespace);
        }

        json.Raw(tool.IsCustom ? ",\"input\":"u8 : ",\"arguments\":"u8);
        json.Text(content);
        json.Raw("}"u8);
    }

    private void WriteItemHead(scoped ref JsonSink json, AnswerItem item, string type, string status)
    {
        json.Raw("{\"id\":"u8);
        json.Text(IdOf(item));
        json.Raw(",\"type\":"u8);
        json.Text(type);
        json.Raw(",\"status\":"u8);
        json.Text(status);
    }

    private static void WriteError(scoped ref JsonSink json, ApiError? error)
    {
        if (error is null)
        {
            json.Raw("null"u8);
            return;
        }

        json.Raw("{\"code\":"u8);
        json.Text(error.Engine?.Code ?? error.Code);
        json.Raw(",\"message\":"u8);
        json.Text(error.Message);
        json.Raw("}"u8);
    }

    private static void WriteIncomplete(scoped ref JsonSink json, Finish? finish)
    {
        json.Raw(finish?.Reason switch
        {
            FinishReason.Length => "{\"reason\":\"max_output_tokens\"}"u8,
            FinishReason.ContentFilter => "{\"reason\":\"content_filter\"}"u8,
            _ => "null"u8,
        });
    }

    private static void WriteUsage(scoped ref JsonSink json, Usage? usage)
    {
        if (usage is null)
        {
            json.Raw("null"u8);
            return;
        }

        json.Raw("{\"input_tokens\":"u8);
        json.Number(usage.PromptTokens);
        json.Raw(",\"input_tokens_details\":{\"cached_tokens\":"u8);
        json.Number(usage.CachedPromptTokens);
        json.Raw("},\"output_tokens\":"u8);
        json.Number(usage.CompletionTokens);
        json.Raw(",\"output_tokens_details\":{\"reasoning_tokens\":"u8);
        json.Number(ReasoningTokens(usage));
        json.Raw("},\"total_tokens\":"u8);
        json.Number((long)usage.PromptTokens + usage.CompletionTokens);
        json.Raw("}"u8);
    }

    private static long ReasoningTokens(Usage usage) =>
        RawDelta.Parse(usage.Raw.Span)?["completion_tokens_details"]?["reasoning_tokens"] is System.Text.Json.Nodes.JsonValue value
        && value.TryGetValue<long>(out var tokens)
            ? tokens
            : 0;
}
