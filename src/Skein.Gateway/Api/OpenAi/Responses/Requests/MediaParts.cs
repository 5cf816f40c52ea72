using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Responses.Requests;

/// <summary>Translates the content parts that are not text into those of chats.</summary>
internal static class MediaParts
{
    public static byte[] Translate(JsonPart part)
    {
        var type = part.Require("type", "a string");
        return type.Text() switch
        {
            "input_image" => Image(part),
            "input_file" => File(part),
            "input_audio" => Audio(part),
            _ => throw type.NotAllowed("input_text, input_image, input_file, input_audio"),
        };
    }

    private static byte[] Image(JsonPart part)
    {
        RefuseStored(part);
        var detail = part.Find("detail") is { } given ? (byte[])[.. ",\"detail\":"u8, .. given.RawText()] : [];
        return
        [
            .. "{\"type\":\"image_url\",\"image_url\":{\"url\":"u8, .. part.Require("image_url", "a string").RawText(), .. detail, .. "}}"u8,
        ];
    }

    private static byte[] File(JsonPart part)
    {
        RefuseStored(part);
        var name = part.Find("filename") is { } given ? given.RawText() : "\"document\""u8;
        return
        [
            .. "{\"type\":\"file\",\"file\":{\"filename\":"u8, .. name, .. ",\"file_data\":"u8, .. part.Require("file_data", "a data URL").RawText(), .. "}}"u8,
        ];
    }

    private static byte[] Audio(JsonPart part)
    {
        var audio = part.Require("input_audio", "an object with data and format").AsObject("an object with data and format");
        audio.Require("data", "a string").RawText();
        audio.Require("format", "a string").RawText();
        return part.Raw.ToArray();
    }

    private static void RefuseStored(JsonPart part)
    {
        if (part.Find("file_id") is { } id)
            throw id.NotAllowed("null: this gateway keeps no files");
    }
}
