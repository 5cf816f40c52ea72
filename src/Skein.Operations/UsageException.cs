namespace Skein.Operations;

/// <summary>The user's input is wrong. The message is one line that names the flag or key, its value and what is allowed. Exit code 2.</summary>
public sealed class UsageException(string message) : Exception(message);
