namespace Skein.Cli.Supervision;

/// <summary>A member to be kept running.</summary>
/// <param name="Name">Member name.</param>
/// <param name="Verb">The verb that runs it: <c>gateway</c> or <c>replica</c>.</param>
/// <param name="Arguments">Its flags, without name and seeds.</param>
internal sealed record MemberSpec(string Name, string Verb, IReadOnlyList<string> Arguments);
