using System.Text;
using CsCheck;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Tests.Api.OpenAi;

/// <summary>What must hold for any body. Failures print a seed: pass it to Sample to replay.</summary>
public sealed class RequestReaderProperties
{
    private static readonly Gen<string> Member = Gen.Select(
        Gen.OneOf(Gen.OneOf(JsonTexts.KnownNames), Gen.OneOf("user", "metadata", "x", "")),
        JsonTexts.Likely,
        (name, value) => $"\"{name}\": {value}");

    private static readonly Gen<byte[]> Body = Gen.Select(
        Member.Array[0, 6],
        Gen.Bool,
        (members, withPrompt) => Encoding.UTF8.GetBytes($"{{{string.Join(",", withPrompt ? [.. members, "\"prompt\": \"x\""] : members)}}}"));

    [Fact]
    public void Read_AnyBody_IsReadOrRefused()
    {
        var mutated = Gen.Select(Body, Gen.Int[0, 400], Gen.Byte, Gen.Int[0, 3], Mutate);
        var outcomes = new int[2];

        mutated.Sample(
            body =>
            {
                foreach (var table in new[] { RequestMembers.Chat, RequestMembers.Completion })
                    Interlocked.Increment(ref outcomes[IsRead(body, table) ? 0 : 1]);
            },
            iter: 20_000);

        Assert.All(outcomes, count => Assert.True(count > 500, $"of 40000 bodies only {count} were {(count == outcomes[0] ? "read" : "refused")}"));
    }

    [Fact]
    public void Read_UnknownMembers_RoundTripByteForByte() =>
        Gen.Dictionary(Gen.String[Gen.Char.AlphaNumeric, 1, 20].Select(name => "u_" + name), JsonTexts.Any)[0, 8].Sample(
            members =>
            {
                var body = $"{{\"prompt\":\"x\"{string.Concat(members.Select(member => $" ,\t\"{member.Key}\" : {member.Value}"))}}}";

                var extra = RequestMembers.Completion.Read(Encoding.UTF8.GetBytes(body)).Generate.Extra;

                // Null means absent.
                Assert.Equal(members.Where(member => member.Value.Trim() != "null").Select(member => (member.Key, member.Value)), extra.Select(member => (member.Name, member.Json.ToStringUtf8())));
            },
            iter: 5_000);

    private static bool IsRead(byte[] body, JsonMembers<OpenAiRequest> table)
    {
        try
        {
            table.Read(body);
            return true;
        }
        catch (RequestRefusedException refused)
        {
            Assert.InRange(refused.Status, 400, 499);
            Assert.DoesNotContain('\n', refused.Message);
            Assert.True(refused.Message.Length < 400, refused.Message);
            return false;
        }
    }

    private static byte[] Mutate(byte[] body, int position, byte value, int how)
    {
        if (body.Length == 0)
            return body;
        position %= body.Length;
        switch (how)
        {
            case 0:
                body[position] = value;
                return body;
            case 1:
                return body[..position];
            default:
                return body;
        }
    }
}
