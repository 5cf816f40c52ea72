using Skein.Conformance.Engines;

namespace Skein.Conformance;

/// <summary>The script of the model in the tests of client libraries, and what a client must see of it.</summary>
internal static class SdkScript
{
    public const string Story = "Once upon a time there was a gateway.";

    /// <summary>A piece of <see cref="Story"/> before which a server dies.</summary>
    public const int PieceOfDeath = 4;

    public static Reply Answer(ChatCall call) => call switch
    {
        { Results: [.., var sum] } => new Reply($"It is {sum}."),
        { Schema: not null } => new Reply("""{"a":1,"b":2}"""),
        { Tools: [var tool, ..] } when tool != "add" => Reply.Call("", tool, new { a = 1, b = 2 }),
        { Tools.Count: > 0 } => Reply.Call("I add. ", "add", new { a = 1, b = 2 }),
        _ when call.Mentions("thinking") => new Reply("Yes.", "Let me think."),
        _ => new Reply(Story),
    };
}
