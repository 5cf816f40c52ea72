using Skein.Protocol.V1;

namespace Skein.Routing.Streaming;

/// <summary>What a secondary attempt sends, and how much of the answer its journal held then.</summary>
/// <param name="Request">The request for its replica.</param>
/// <param name="FromIndex">Tokens in its journal.</param>
/// <param name="FromTextByte">Answer bytes in its journal.</param>
internal sealed record SecondaryRequest(GenerateRequest Request, int FromIndex, int FromTextByte);
