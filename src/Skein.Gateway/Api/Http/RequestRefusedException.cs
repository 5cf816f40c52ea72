namespace Skein.Gateway.Api.Http;

/// <summary>The gateway refuses a request because it is invalid. The message names the field, its value and what is allowed.</summary>
internal sealed class RequestRefusedException(int status, string code, string? field, string message, Exception? inner = null)
    : Exception(message, inner)
{
    public const string InvalidType = "invalid_type";
    public const string InvalidValue = "invalid_value";
    public const string MissingParameter = "missing_required_parameter";
    public const string UnsupportedParameter = "unsupported_parameter";

    /// <summary>HTTP status, 4xx.</summary>
    public int Status { get; } = status;

    /// <summary>Error code for programs; OpenAI's where it has one.</summary>
    public string Code { get; } = code;

    /// <summary>The invalid field or header; null if the request as a whole is invalid.</summary>
    public string? Field { get; } = field;

    public static RequestRefusedException NotA(string field, string value, string expected, string allowed) =>
        new(400, InvalidType, field, $"{field}: {value} is not {expected}; allowed: {allowed}");

    public static RequestRefusedException OutOfRange(string field, string value, string allowed) =>
        Invalid(field, $"{value} is out of range; allowed: {allowed}");

    public static RequestRefusedException Missing(string field, string allowed) =>
        new(400, MissingParameter, field, $"{field}: missing; required: {allowed}");

    /// <summary>The member belongs to another API.</summary>
    /// <param name="allowed">The member of this API that asks for the same, or why there is none.</param>
    public static RequestRefusedException OfOtherApi(string field, string allowed) =>
        new(400, UnsupportedParameter, field, $"{field}: is a member of another API; allowed: {allowed}");

    public static RequestRefusedException Twice(string field) => Invalid(field, "appears more than once; allowed: once");

    /// <summary>The value has the right type but is not allowed.</summary>
    public static RequestRefusedException Invalid(string field, string problem) => new(400, InvalidValue, field, $"{field}: {problem}");

    public static RequestRefusedException Json(string? field, string problem, Exception? inner = null) =>
        new(400, "invalid_json", field, field is null ? problem : $"{field}: {problem}", inner);
}
