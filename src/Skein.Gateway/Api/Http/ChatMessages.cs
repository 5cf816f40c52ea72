using System.Text.Json;

namespace Skein.Gateway.Api.Http;

/// <summary>Refuses requests whose <c>messages</c> are not a chat.</summary>
internal static class ChatMessages
{
    /// <summary>Reads the array that the reader is at, to its end.</summary>
    /// <exception cref="RequestRefusedException">Names the message and the member.</exception>
    public static void Check(ref Utf8JsonReader reader)
    {
        try
        {
            ChatJson.Check(ref reader);
        }
        catch (ChatJsonException exception)
        {
            throw new RequestRefusedException(400, CodeOf(exception.Problem), exception.Field, exception.Message, exception);
        }
    }

    private static string CodeOf(ChatJsonProblem problem) => problem switch
    {
        ChatJsonProblem.WrongType => "invalid_type",
        ChatJsonProblem.Missing => "missing_required_parameter",
        _ => "invalid_value",
    };
}
