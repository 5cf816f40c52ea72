using Skein.Engines.Embedded.Tokens;

namespace Skein.Engines.Embedded.Chat;

/// <summary>
/// Writes a chat as tokens. Role tokens are inserted by id and texts are encoded without control tokens, so that a text cannot imitate a role.
/// </summary>
/// <remarks>
/// Chat templates are Jinja programs. The engine does not run them but recognizes a few; a model with another template serves completions only.
/// </remarks>
internal sealed class ChatTemplate
{
    private const string RoleTokensTemplate =
        "{{ '<|bos|>' }}{% for m in messages %}{% if m['role'] == 'system' %}{{ '<|system|>' + m['content'] }}{% elif m['role'] == 'user' %}"
        + "{{ '<|user|>' + m['content'] }}{% elif m['role'] == 'assistant' %}{{ '<|assistant|>' + m['content'] + '<|end|>' }}{% endif %}"
        + "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

    private const string ChatMlTemplate =
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    private readonly Vocabulary _vocabulary;
    private readonly int? _begin;
    private readonly Turn _system;
    private readonly Turn _user;
    private readonly Turn _assistant;

    private ChatTemplate(Vocabulary vocabulary, int? begin, Turn system, Turn user, Turn assistant) =>
        (_vocabulary, _begin, _system, _user, _assistant) = (vocabulary, begin, system, user, assistant);

    /// <summary>The format of a template; null if it is unknown or the vocabulary lacks its control tokens.</summary>
    public static ChatTemplate? Recognize(string? template, Vocabulary vocabulary) => template?.Trim() switch
    {
        RoleTokensTemplate => RoleTokens(vocabulary),
        ChatMlTemplate => ChatMl(vocabulary),
        _ => null,
    };

    /// <summary>Tokens of the chat, and those that open its answer.</summary>
    public List<int> Render(IEnumerable<ChatMessage> messages)
    {
        List<int> ids = _begin is { } begin ? [begin] : [];
        foreach (var message in messages)
        {
            var turn = message.Role switch { "system" => _system, "user" => _user, _ => _assistant };
            Open(ids, turn, message.Text ?? "");
            if (turn.Close is { } close)
            {
                ids.Add(close);
                ids.AddRange(_vocabulary.Encode(turn.Tail));
            }
        }

        Open(ids, _assistant, "");
        return ids;
    }

    private static ChatTemplate? RoleTokens(Vocabulary vocabulary) =>
        Controls(vocabulary, "<|bos|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>") is [var begin, var system, var user, var assistant, var end]
            ? new(vocabulary, begin, new(system), new(user), new(assistant, Close: end))
            : null;

    private static ChatTemplate? ChatMl(Vocabulary vocabulary) =>
        Controls(vocabulary, "<|im_start|>", "<|im_end|>") is [var start, var end]
            ? new(vocabulary, begin: null, new(start, "system\n", end, "\n"), new(start, "user\n", end, "\n"), new(start, "assistant\n", end, "\n"))
            : null;

    private void Open(List<int> ids, Turn turn, string content)
    {
        ids.Add(turn.Open);
        ids.AddRange(_vocabulary.Encode(turn.Lead + content));
    }

    private static int[]? Controls(Vocabulary vocabulary, params string[] names)
    {
        var ids = names.Select(vocabulary.Control).OfType<int>().ToArray();
        return ids.Length == names.Length ? ids : null;
    }

    /// <summary>How one role's message is written: control token, lead and content, control token, tail.</summary>
    private sealed record Turn(int Open, string Lead = "", int? Close = null, string Tail = "");
}
