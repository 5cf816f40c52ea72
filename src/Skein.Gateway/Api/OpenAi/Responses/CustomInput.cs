using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Responses;

/// <summary>The text that a custom tool takes, as the one argument of the function that stands for it in the chat.</summary>
internal static class CustomInput
{
    /// <param name="input">A JSON string.</param>
    /// <returns>A JSON string that contains the arguments.</returns>
    public static ReadOnlySpan<byte> ToArguments(ReadOnlySpan<byte> input)
    {
        var bytes = new ArrayBufferWriter<byte>(input.Length + 32);
        var json = new JsonSink(bytes);
        json.Text((byte[])[.. "{\"input\":"u8, .. input, (byte)'}']);
        json.Complete();
        return bytes.WrittenSpan;
    }

    /// <summary>The text that the model wrote; its arguments as they are if they are not of the function's form.</summary>
    public static byte[] FromArguments(ReadOnlySpan<byte> arguments)
    {
        try
        {
            var parsed = JsonElement.Parse(arguments);
            if (parsed.ValueKind == JsonValueKind.Object && parsed.TryGetProperty("input"u8, out var input) && input.ValueKind == JsonValueKind.String)
                return Encoding.UTF8.GetBytes(input.GetString()!);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return arguments.ToArray(); // the model's mistake, which its client judges
        }

        return arguments.ToArray();
    }
}
