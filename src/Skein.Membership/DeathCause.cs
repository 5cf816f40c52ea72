namespace Skein.Membership;

/// <summary>On which evidence a member was declared dead.</summary>
public enum DeathCause
{
    /// <summary>It is not dead.</summary>
    None,

    /// <summary>Its host refused connections to it: the process is gone. Takes milliseconds.</summary>
    Refused,

    /// <summary>It was silent, and nobody refuted that until its suspicion window was over, or it resigned because it was so ever again. Takes seconds.</summary>
    Silent,
}
