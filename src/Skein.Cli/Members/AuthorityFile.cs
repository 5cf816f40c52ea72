using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Skein.Cli.Members;

/// <summary>Files with the certificates of authorities.</summary>
internal static class AuthorityFile
{
    /// <param name="flag">The flag that named the file, for messages.</param>
    /// <exception cref="UsageException">It cannot be read, or has no certificate.</exception>
    public static X509Certificate2Collection Read(string path, string flag)
    {
        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPemFile(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new UsageException($"{flag} {path} cannot be read: {error.Message}");
        }
        return roots.Count > 0 ? roots : throw new UsageException($"{flag} {path} contains no certificate; allowed: a PEM file with at least one");
    }
}
