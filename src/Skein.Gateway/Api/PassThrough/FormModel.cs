using Microsoft.Net.Http.Headers;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.PassThrough;

/// <summary>Finds the part <c>model</c> of a form (<c>multipart/form-data</c>, RFC 7578) without copying the form. Pure.</summary>
internal static class FormModel
{
    private const int MaxBoundaryChars = 70;
    private const int MaxPartHeaderBytes = 4 << 10;

    /// <summary>The place of its value, and the value; null if there is no such part.</summary>
    /// <exception cref="RequestRefusedException">The form is broken, or has the part twice.</exception>
    public static (int Offset, int Length, string Name)? Find(ReadOnlySpan<byte> form, string boundary)
    {
        if (boundary.Length is 0 or > MaxBoundaryChars)
            throw Broken("its content type has no boundary of 1 to 70 characters");
        var delimiter = Encoding.ASCII.GetBytes($"--{boundary}");
        (int Offset, int Length, string Name)? found = null;
        var at = form.IndexOf(delimiter);
        if (at < 0)
            throw Broken("it does not contain its boundary");
        while (true)
        {
            at += delimiter.Length;
            if (form[at..].StartsWith("--"u8))
                return found;
            var headEnd = form[at..].IndexOf("\r\n\r\n"u8);
            if (headEnd is < 0 or > MaxPartHeaderBytes)
                throw Broken("a part has no end of its headers");
            var start = at + headEnd + 4;
            var length = form[start..].IndexOf((byte[])[.. "\r\n"u8, .. delimiter]);
            if (length < 0)
                throw Broken("a part has no end");
            if (IsModel(form[at..(start - 4)]))
            {
                if (found is not null)
                    throw RequestRefusedException.Twice("model");
                found = (start, length, Encoding.UTF8.GetString(form.Slice(start, Math.Min(length, RequestLimits.ModelBytes + 1))));
            }

            at = start + length + 2;
        }
    }

    private static bool IsModel(ReadOnlySpan<byte> head)
    {
        foreach (var line in Encoding.UTF8.GetString(head).Split("\r\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && line[..colon].Trim().Equals("content-disposition", StringComparison.OrdinalIgnoreCase)
                && ContentDispositionHeaderValue.TryParse(line[(colon + 1)..].Trim(), out var disposition))
                return HeaderUtilities.RemoveQuotes(disposition.Name) == "model";
        }

        return false;
    }

    private static RequestRefusedException Broken(string problem) =>
        new(StatusCodes.Status400BadRequest, "invalid_form", null, $"the body is not a form: {problem}; allowed: multipart/form-data");
}
