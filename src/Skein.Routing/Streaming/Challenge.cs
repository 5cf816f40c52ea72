using Skein.Protocol.V1;

namespace Skein.Routing.Streaming;

/// <summary>The order to a challenger: a second attempt beside the current one.</summary>
/// <param name="Request">As its replica gets it.</param>
/// <param name="FromIndex">Tokens its journal holds.</param>
/// <param name="FromTextByte">Answer bytes its journal holds.</param>
internal sealed record Challenge(GenerateRequest Request, int FromIndex, int FromTextByte);
