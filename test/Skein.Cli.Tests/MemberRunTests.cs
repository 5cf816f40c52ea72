using Google.Protobuf;
using Skein.Cli.Members;
using Skein.Protocol.V1;

namespace Skein.Cli.Tests;

public sealed class MemberRunTests
{
    [Theory]
    [InlineData(3, 3)]
    [InlineData(40, 0)]
    public void LeaveOutModelsThatDoNotFit_KeepsAllOrNone_AndRoomForTheMarkOfADrain(int offered, int told)
    {
        var metadata = new MemberMetadata { Role = "replica", Grpc = "127.0.0.1:8090", ModelsDigest = 1 };
        metadata.Models.AddRange(Enumerable.Range(0, offered).Select(i => $"organisation/model-{i}"));

        MemberRun.LeaveOutModelsThatDoNotFit(metadata);

        Assert.Equal(told, metadata.Models.Count);
        metadata.Draining = true;
        Assert.InRange(metadata.ToByteArray().Length, 1, 512);
    }
}
