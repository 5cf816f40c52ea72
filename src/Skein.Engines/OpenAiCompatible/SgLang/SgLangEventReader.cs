using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.SgLang;

/// <summary>
/// Reads what is new in each event of SGLang. By default every event repeats the answer from its beginning; with <c>--stream-output</c> (or
/// <c>--incremental-streaming-output</c>) it does not. The number of tokens shows which. Not safe for concurrent use.
/// </summary>
internal sealed class SgLangEventReader
{
    private int _count;
    private string _text = "";
    private bool _isWhole = true;

    /// <exception cref="FaultException">Ids and count do not fit together.</exception>
    public (uint[] Ids, string Text) Take(JsonElement data)
    {
        var ids = data.Ids("output_ids") ?? throw Broken("an event has no output_ids");
        var text = data.Text("text") ?? "";
        var count = data.Member("meta_info")?.Whole("completion_tokens") ?? throw Broken("an event has no completion_tokens");
        if (_count > 0 && count > _count)
            _isWhole = ids.Length == count;

        if (_isWhole)
        {
            var isGrown = ids.Length == count && count >= _count && (text.Length == 0 || text.StartsWith(_text, StringComparison.Ordinal));
            var added = isGrown ? (ids[_count..], text.Length == 0 ? "" : text[_text.Length..]) : throw Broken($"{ids.Length} ids for {count} tokens");
            (_count, _text) = (count, text.Length == 0 ? _text : text);
            return added;
        }

        var isNext = ids.Length == count - _count;
        _count = count;
        return isNext ? (ids, text) : throw Broken($"{ids.Length} ids for {count} tokens");
    }

    private static FaultException Broken(string what) => new(Fault.EngineFailed, $"the stream of SGLang is out of step: {what}");
}
