namespace Skein.Operations;

/// <summary>What was asked for could not be done. The message is one line that says what happened and what to do. Exit code 1.</summary>
public class CommandFailedException(string message, Exception? innerException = null) : Exception(message, innerException);
