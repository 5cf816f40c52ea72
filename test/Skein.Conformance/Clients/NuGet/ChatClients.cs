// Lets a chat client of Microsoft.Extensions.AI answer, stream and call a tool, and prints what came as one line of JSON. Connect is in a file of its package.
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

var (http, situation) = (args[0], args[1]);
const string Question = "conformance situation";
using var chat = Package.Connect(http);
switch (situation)
{
    case "plain":
        var whole = await chat.GetResponseAsync(Question);
        Show(new { text = whole.Text, streamed = await StreamAsync(new StringBuilder()) });
        break;
    case "failover":
        Show(new { text = await StreamAsync(new StringBuilder()) });
        break;
    case "tools":
        using (var caller = chat.AsBuilder().UseFunctionInvocation().Build())
        {
            var add = AIFunctionFactory.Create((double a, double b) => a + b, "add");
            var answer = await caller.GetResponseAsync(Question, new ChatOptions { Tools = [add] });
            Show(new { text = answer.Messages[^1].Text });
        }
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
    await foreach (var update in chat.GetStreamingResponseAsync(Question))
        text.Append(update.Text);
    return text.ToString();
}

static void Show(object value) => Console.WriteLine(JsonSerializer.Serialize(value));
