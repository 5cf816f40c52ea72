using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Membership;
using Skein.Membership.Tests.Support;

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
        using var following = ReadAndFollow();

        Look();
        Assert.Empty(_membership.Used);
        Write(keys[1], keys[0]);
        Look();
        Look();

        Assert.Equal(GossipKeys.Parse($"{keys[1]}\n{keys[0]}").Ids, Assert.Single(_membership.Used).Ids);
    }

    /// <summary>A member joins between the two, which may take a while.</summary>
    [Fact]
    public void Follow_FileChangedSinceItWasRead_MemberUsesItsKeys()
    {
        Write(GossipKeys.NewKey());
        var file = new GossipKeyFile(Path);
        _ = file.Read();
        var changed = GossipKeys.NewKey();
        Write(changed);
        using var following = file.Follow(_membership, _time, new FileReports(NullLogger.Instance));

        Look();

        Assert.Equal(GossipKeys.Parse(changed).Ids, Assert.Single(_membership.Used).Ids);
    }

    /// <summary>An empty file must not disable encryption without an error.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("# the keys are elsewhere")]
    public void Read_NoKey_IsRefused(string line)
    {
        Write(line);

        Assert.Equal(
            $"--gossip-key-file {Path}: it has no key; allowed: at least one (skein gossip-keys new)",
            Assert.Throws<UsageException>(() => new GossipKeyFile(Path).Read()).Message);
    }

    [Fact]
    public void Follow_FileIsWrongOrGone_OldKeysStayUntilItIsRightAgain()
    {
        Write(GossipKeys.NewKey());
        using var following = ReadAndFollow();

        Write("no key");
        Look();
        Write("");
        Look();
        File.Delete(Path);
        Look();
        Assert.Empty(_membership.Used);
        var right = GossipKeys.NewKey();
        Write(right);
        Look();

        Assert.Equal(GossipKeys.Parse(right).Ids, Assert.Single(_membership.Used).Ids);
    }

    [Fact]
    public void Follow_Disposed_LooksNoMore()
    {
        Write(GossipKeys.NewKey());
        ReadAndFollow().Dispose();

        Write(GossipKeys.NewKey());
        Look();

        Assert.Empty(_membership.Used);
    }

    private IDisposable ReadAndFollow()
    {
        var file = new GossipKeyFile(Path);
        _ = file.Read();
        return file.Follow(_membership, _time, new FileReports(NullLogger.Instance));
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
