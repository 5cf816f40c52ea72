using System.Security.Cryptography.X509Certificates;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary>The gateway that a client verb talks to.</summary>
internal static class GatewayConnection
{
    /// <summary><c>--gateway</c>, a flag of every client verb.</summary>
    public static Setting<Uri> Address { get; } = new(
        "gateway", "url", "Address of a gateway [default: http://127.0.0.1:8080]", "an http:// or https:// address", new Uri("http://127.0.0.1:8080"),
        (string text, out Uri read) => Uri.TryCreate(text, UriKind.Absolute, out read!) && read.Scheme is "http" or "https");

    /// <summary><c>--key-file</c>, a flag of every client verb. A key is no flag: other users of the machine could read it.</summary>
    public static Setting<string?> KeyPath { get; } = Setting.Text(
        "key-file", "file", $"File with the API key to send; {SecretVariables.ApiKey} holds the key itself");

    /// <summary><c>--ca</c>, a flag of every client verb.</summary>
    public static Setting<string?> Authorities { get; } = Setting.Text(
        "ca", "file", "PEM file with the authorities of the gateway's certificate [default: those of the system]");

    /// <summary>The flags of every client verb.</summary>
    public static IReadOnlyList<ISetting> All { get; } = [Address, KeyPath, Authorities];

    public static GatewayClient Open(SettingSources sources) => new(Address.Read(sources), Key(sources), TrustedRoots(sources));

    /// <returns>Null: none is sent.</returns>
    /// <exception cref="UsageException">The file cannot be read.</exception>
    public static string? Key(SettingSources sources)
    {
        if (KeyPath.Read(sources) is not { } path)
            return Environment.GetEnvironmentVariable(SecretVariables.ApiKey) is { Length: > 0 } key ? key : null;
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--key-file {path} cannot be read: {error.Message}");
        }
    }

    /// <returns>Null: those of the system.</returns>
    /// <exception cref="UsageException">The file cannot be read, or has no certificate.</exception>
    public static X509Certificate2Collection? TrustedRoots(SettingSources sources) =>
        Authorities.Read(sources) is { } path ? AuthorityFile.Read(path, "--ca") : null;
}
