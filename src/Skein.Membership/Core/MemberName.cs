namespace Skein.Membership.Core;

/// <summary>What a member's name may be: 1 to 64 printable ASCII characters without space, so that logs, metrics and URLs can carry it.</summary>
internal static class MemberName
{
    public const string Allowed = "1 to 64 printable ASCII characters without spaces";

    public static bool IsValid(ReadOnlySpan<byte> name) =>
        name.Length is > 0 and <= Codec.WireLimits.NameBytes && !name.ContainsAnyExceptInRange((byte)0x21, (byte)0x7E);

    public static bool IsValid(string name) =>
        name.Length is > 0 and <= Codec.WireLimits.NameBytes && !name.AsSpan().ContainsAnyExceptInRange('\x21', '\x7E');
}
