using System.Globalization;
using Google.Protobuf.Collections;

namespace Skein.Protocol;

/// <summary>An <see cref="EngineError"/> in the metadata of <c>google.rpc.ErrorInfo</c>: between replica and gateway, and between gateway and client.</summary>
public static class EngineErrorMetadata
{
    private const string RequestParam = "param";
    private const string Status = "engine_status";
    private const string Message = "engine_message";
    private const string Type = "engine_type";
    private const string Param = "engine_param";
    private const string Code = "engine_code";
    private const string CodeIsNumber = "engine_code_is_number";
    private const string RetryAfterMs = "engine_retry_after_ms";

    /// <summary>Adds the error's members; absent ones are left out.</summary>
    public static void Write(EngineError? error, MapField<string, string> metadata)
    {
        if (error is null)
            return;
        metadata[Status] = error.Status.ToString(CultureInfo.InvariantCulture);
        metadata[Message] = Cut(error.Message, EngineError.MostMessageChars)!;
        Add(Type, error.Type);
        Add(Param, error.Param);
        Add(Code, error.Code);
        Add(CodeIsNumber, error is { Code: not null, CodeIsNumber: true } ? "true" : null);
        Add(RetryAfterMs, error.RetryAfter is { } wait ? ((long)wait.TotalMilliseconds).ToString(CultureInfo.InvariantCulture) : null);

        void Add(string name, string? value)
        {
            if (value is not null)
                metadata[name] = Cut(value, EngineError.MostFieldChars)!;
        }
    }

    /// <summary>Reads the error; null if there is none or its status is not 400 to 599. Long members are cut: the sender may be of another release.</summary>
    public static EngineError? Read(MapField<string, string> metadata)
    {
        if (!int.TryParse(Find(Status, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var status) || status is < 400 or > 599)
            return null;
        var code = Find(Code, EngineError.MostFieldChars);
        return new EngineError(
            status,
            Find(Message, EngineError.MostMessageChars) ?? "",
            Find(Type, EngineError.MostFieldChars),
            Find(Param, EngineError.MostFieldChars),
            code,
            long.TryParse(Find(RetryAfterMs, 20), NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)
                ? TimeSpan.FromMilliseconds(Math.Min(milliseconds, (long)EngineError.LongestRetryAfter.TotalMilliseconds))
                : null)
        {
            CodeIsNumber = Find(CodeIsNumber, 4) == "true" && long.TryParse(code, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _),
        };

        string? Find(string name, int most) => metadata.TryGetValue(name, out var value) ? Cut(value, most) : null;
    }

    /// <summary>Adds the field of the request that is at fault; null: none.</summary>
    public static void WriteParam(string? param, MapField<string, string> metadata)
    {
        if (param is not null)
            metadata[RequestParam] = Cut(param, EngineError.MostFieldChars)!;
    }

    /// <summary>Reads the field of the request that is at fault; null: none.</summary>
    public static string? ReadParam(MapField<string, string> metadata) =>
        metadata.TryGetValue(RequestParam, out var param) ? Cut(param, EngineError.MostFieldChars) : null;

    // Not between the halves of a surrogate pair: half of one cannot be encoded.
    private static string? Cut(string? text, int most) =>
        text is null || text.Length <= most ? text : text[..(char.IsHighSurrogate(text[most - 1]) ? most - 1 : most)];
}
