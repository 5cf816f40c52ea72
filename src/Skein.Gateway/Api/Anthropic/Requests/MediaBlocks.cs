using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Anthropic.Requests;

/// <summary>Translates the content blocks that are not text into the content parts of chats.</summary>
internal static class MediaBlocks
{
    public static byte[] Image(JsonPart block)
    {
        var source = block.Require("source", "an object").AsObject("an object with a type");
        var type = source.Require("type", "base64, url");
        return type.Text() switch
        {
            "base64" => [.. "{\"type\":\"image_url\",\"image_url\":{\"url\":"u8, .. DataUrl(source), .. "}}"u8],
            "url" => [.. "{\"type\":\"image_url\",\"image_url\":{\"url\":"u8, .. source.Require("url", "a string").RawText(), .. "}}"u8],
            _ => throw type.NotAllowed("base64, url"),
        };
    }

    public static byte[] File(JsonPart block, JsonPart source)
    {
        var title = block.Find("title") is { } given ? given.RawText() : "\"document\""u8;
        return [.. "{\"type\":\"file\",\"file\":{\"filename\":"u8, .. title, .. ",\"file_data\":"u8, .. DataUrl(source), .. "}}"u8];
    }

    /// <summary>JSON as the content of a JSON string.</summary>
    public static ReadOnlySpan<byte> AsText(ReadOnlySpan<byte> json)
    {
        var bytes = new ArrayBufferWriter<byte>(json.Length + 16);
        var sink = new JsonSink(bytes);
        sink.Text(json);
        sink.Complete();
        return bytes.WrittenSpan;
    }

    private static byte[] DataUrl(JsonPart source) =>
    [
        .. "\"data:"u8, .. source.Require("media_type", "a string").RawText()[1..^1], .. ";base64,"u8, .. source.Require("data", "a string").RawText()[1..^1],
        (byte)'"',
    ];
}
