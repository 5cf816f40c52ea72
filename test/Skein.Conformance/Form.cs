namespace Skein.Conformance;

/// <summary>How much is tried. The short form belongs to <c>dotnet test</c>; the long one is asked for with <c>SKEIN_CONFORMANCE=long</c>.</summary>
internal static class Form
{
    public const string SkipMessage = "only in the long form: SKEIN_CONFORMANCE=long";

    public static bool IsLong => Environment.GetEnvironmentVariable("SKEIN_CONFORMANCE") == "long";
}
