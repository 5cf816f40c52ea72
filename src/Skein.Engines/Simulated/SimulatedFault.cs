namespace Skein.Engines.Simulated;

/// <summary>What a simulated fault does.</summary>
public enum SimulatedFaultKind
{
    /// <summary>The process ends: the factory's <c>crash</c> action is called, and no further frame is sent.</summary>
    Crash,

    /// <summary>The engine sends nothing until the request is cancelled.</summary>
    Stall,

    /// <summary>The engine is silent for <see cref="SimulatedFault.Ms"/>, then continues.</summary>
    Slow,

    /// <summary>The engine fails with <see cref="Fault.EngineFailed"/>; without <see cref="SimulatedFault.At"/> it refuses the request.</summary>
    Error,
}

/// <summary>
/// One injected fault. A request asks for it with the member <c>skein_fault</c>, one object or an array of them:
/// <c>{"kind":"crash","at":5,"on":"replica-2","attempt":1}</c>; all but <c>kind</c> may be absent.
/// </summary>
/// <param name="At">
/// Index of the token before which it happens; the answer's length: between the last token and the finish frame. It does not happen to an attempt that
/// resumes after that index. Null: before the start frame.
/// </param>
/// <param name="On">Name of the replica it happens on; null: on any.</param>
/// <param name="Attempt">Number of the attempt it happens to; a request that has none counts as attempt 1. 0: every attempt.</param>
/// <param name="Ms">How long <see cref="SimulatedFaultKind.Slow"/> lasts, in milliseconds. 1 to 3,600,000; default 1,000.</param>
public sealed record SimulatedFault(SimulatedFaultKind Kind, int? At = null, string? On = null, int Attempt = 1, int Ms = 1000);
