using Microsoft.Extensions.Time.Testing;
using Skein.Cli.Members;
using Skein.Membership;

namespace Skein.Cli.Tests;

public sealed class GossipKeyFileTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory();
    private readonly FakeTimeProvider _time = new();
    private readonly Keyring _membership = new();
    private DateTime _written = new(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    private string Path => System.IO.Path.Combine(_directory.FullName, "keys");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void Follow_FileChanges_MemberUsesItsKeysWithoutARestart()
    {
        string[] keys = [GossipKeys.NewKey(), GossipKeys.NewKey()];
        Write(keys[0]);
        using IDisposable following = new GossipKeyFile(Path).Follow(_membership, _time);

        Look();
        Assert.Empty(_membership.Used);
        Write(keys[1], keys[0]);
        Look();
        Look();

        Assert.Equal(GossipKeys.Parse($"{keys[1]}\n{keys[0]}").Ids, Assert.Single(_membership.Used).Ids);
    }

    [Fact]
    public void Follow_FileIsWrongOrGone_OldKeysStayUntilItIsRightAgain()
    {
        Write(GossipKeys.NewKey());
        using IDisposable following = new GossipKeyFile(Path).Follow(_membership, _time);

        Write("no key");
        Look();
        File.Delete(Path);
        Look();
        Assert.Empty(_membership.Used);
        string right = GossipKeys.NewKey();
        Write(right);
        Look();

        Assert.Equal(GossipKeys.Parse(right).Ids, Assert.Single(_membership.Used).Ids);
    }

    [Fact]
    public void Follow_Disposed_LooksNoMore()
    {
        Write(GossipKeys.NewKey());
        new GossipKeyFile(Path).Follow(_membership, _time).Dispose();

        Write(GossipKeys.NewKey());
        Look();

        Assert.Empty(_membership.Used);
    }

    private void Look() => _time.Advance(TimeSpan.FromSeconds(1));

    /// <summary>Each time a minute later than before, whatever the file system's clock can tell apart.</summary>
    private void Write(params string[] keys)
    {
        new GossipKeyFile(Path).Write(keys);
        _written += TimeSpan.FromMinutes(1);
        File.SetLastWriteTimeUtc(Path, _written);
    }

    private sealed class Keyring : StubMembership
    {
        public List<GossipKeys> Used { get; } = [];

        public override void UseKeys(GossipKeys keys) => Used.Add(keys);
    }
}
