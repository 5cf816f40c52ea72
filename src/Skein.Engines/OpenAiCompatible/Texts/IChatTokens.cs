using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>How the chat call of a server tells the ids of the tokens that it generates. Thread-safe.</summary>
internal interface IChatTokens
{
    /// <summary>Adds what asks for them to the body of a chat.</summary>
    void Ask(RequestJson body, GenerateRequest request);

    /// <summary>Notes what the server counted at the end of an answer. By default it does not matter.</summary>
    void NoteUsage(JsonElement usage)
    {
    }

    /// <summary>Begins to read one answer.</summary>
    IChatTokenReader Read(GenerateRequest request);
}

/// <summary>Reads the ids of one answer. Not safe for concurrent use.</summary>
internal interface IChatTokenReader
{
    /// <summary>Ids of the prompt; empty if the server does not tell them.</summary>
    /// <param name="first">The first event; null: it has nothing but a text.</param>
    /// <exception cref="FaultException">They are missing.</exception>
    uint[] PromptOf(JsonElement? first);

    /// <summary>Members of an event, beside its choices, that the client did not ask for.</summary>
    string? HiddenMember(JsonElement data);

    /// <summary>A delta with the ids of its tokens.</summary>
    /// <exception cref="FaultException">It has none.</exception>
    TextDelta DeltaOf(JsonElement data, JsonElement choice);
}
