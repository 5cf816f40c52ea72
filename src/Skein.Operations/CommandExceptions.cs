namespace Skein.Operations;

/// <summary>The input of a command is not valid. The message is one line that names the flag or key, its value and what is allowed. Exit code 2.</summary>
public sealed class UsageException(string message) : Exception(message);

/// <summary>A command could not do what it was asked to do. The message is one line that says what happened and what to do. Exit code 1.</summary>
public class CommandFailedException(string message, Exception? innerException = null) : Exception(message, innerException);
