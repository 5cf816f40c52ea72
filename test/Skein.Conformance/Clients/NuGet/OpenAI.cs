// Lets OpenAI's client answer, stream, call a tool and embed, and prints what came as one line of JSON.
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;

var (http, situation) = (args[0], args[1]);
var client = new OpenAIClient(
    new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri($"{http}/v1"), RetryPolicy = new ClientRetryPolicy(0) });
var chat = client.GetChatClient("scripted");
List<ChatMessage> messages = [new UserChatMessage("conformance situation")];
switch (situation)
{
    case "plain":
        ChatCompletion whole = await chat.CompleteChatAsync(messages);
        Show(new { text = whole.Content[0].Text, streamed = await StreamAsync(new StringBuilder()) });
        break;
    case "failover":
        Show(new { text = await StreamAsync(new StringBuilder()) });
        break;
    case "tools":
        var schema = BinaryData.FromString("""{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}}}""");
        var options = new ChatCompletionOptions { Tools = { ChatTool.CreateFunctionTool("add", "Adds.", schema) } };
        ChatCompletion call = await chat.CompleteChatAsync(messages, options);
        using (var sum = JsonDocument.Parse(call.ToolCalls[0].FunctionArguments))
        {
            messages.Add(new AssistantChatMessage(call));
            messages.Add(new ToolChatMessage(call.ToolCalls[0].Id, $"{sum.RootElement.GetProperty("a").GetInt32() + sum.RootElement.GetProperty("b").GetInt32()}"));
        }
        ChatCompletion answer = await chat.CompleteChatAsync(messages, options);
        Show(new { text = answer.Content[0].Text });
        break;
    case "embeddings":
        var vectors = (await client.GetEmbeddingClient("scripted").GenerateEmbeddingsAsync(["one", "three"])).Value;
        Show(new { vectors = vectors.Select(vector => vector.ToFloats().ToArray()) });
        break;
    case "broken":
        var begun = new StringBuilder();
        try
        {
            await StreamAsync(begun);
            Show(new { text = begun.ToString() });
        }
        catch (Exception error)
        {
            Show(new { text = begun.ToString(), error = error.GetType().Name });
        }
        break;
}

async Task<string> StreamAsync(StringBuilder text)
{
    await foreach (var update in chat.CompleteChatStreamingAsync(messages))
    {
        foreach (var part in update.ContentUpdate)
            text.Append(part.Text);
    }
    return text.ToString();
}

static void Show(object value) => Console.WriteLine(JsonSerializer.Serialize(value));
