using System.Text;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Tests.Telemetry;

public sealed class LineSinkTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private readonly FakeTimeProvider _time = new();

    private string File => Path.Combine(_folder.FullName, "access.log");

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>With a log that nobody reads, every request hung.</summary>
    [Fact]
    public void TryWrite_PipeThatNobodyReads_DropsAndCountsAndNeverWaits()
    {
        using var pipe = new StuckStream();
        using var sink = new LineSink("log", () => pipe, Notice, _time);
        Assert.True(sink.TryWrite("first"));
        Assert.True(pipe.Entered.Wait(Soon, TestContext.Current.CancellationToken));

        var taken = Enumerable.Range(0, LineSink.MaxLines + 100).Count(i => sink.TryWrite($"line {i}"));

        Assert.Equal((LineSink.MaxLines, 100L), (taken, sink.Dropped));
        pipe.Release();
    }

    [Fact]
    public void TryWrite_LinesTogetherTooLarge_AreDropped()
    {
        using var pipe = new StuckStream();
        using var sink = new LineSink("log", () => pipe, Notice, _time);
        sink.TryWrite("first");
        Assert.True(pipe.Entered.Wait(Soon, TestContext.Current.CancellationToken));
        var line = new byte[LineSink.MaxBytes / 4];

        Assert.Equal(3, Enumerable.Range(0, 10).Count(_ => sink.TryWrite(line)));

        pipe.Release();
    }

    /// <summary>On a full disk the program ended.</summary>
    [Fact]
    public void TryWrite_FullDiskThenSpace_CountsWhatWasLostAndSaysSo()
    {
        var disk = new FullDisk();
        using (var sink = new LineSink("log", () => disk.Open(), Notice, _time))
        {
            sink.TryWrite("lost");
            Assert.True(SpinWait.SpinUntil(() => sink.Dropped == 1, Soon));
            disk.HasSpace = true;
            sink.TryWrite("kept");
        }

        Assert.Equal("1 dropped\nkept\n", disk.Text);
    }

    [Fact]
    public void ToFile_FileIsMovedAway_NewLinesGoToANewFile()
    {
        using (var sink = LineSink.ToFile("access", File, Notice, _time))
        {
            sink.TryWrite("one");
            Assert.True(SpinWait.SpinUntil(() => System.IO.File.Exists(File) && new FileInfo(File).Length > 0, Soon));
            System.IO.File.Move(File, File + ".1");
            _time.Advance(TimeSpan.FromSeconds(2));
            sink.TryWrite("two");
        }

        Assert.Equal(("one\n", "two\n"), (System.IO.File.ReadAllText(File + ".1"), System.IO.File.ReadAllText(File)));
    }

    [Fact]
    public void ToFile_FileExists_IsAppendedTo()
    {
        System.IO.File.WriteAllText(File, "before\n");

        using (var sink = LineSink.ToFile("access", File, Notice, _time))
            sink.TryWrite("after");

        Assert.Equal("before\nafter\n", System.IO.File.ReadAllText(File));
    }

    private static string Notice(long dropped) => $"{dropped} dropped";

    /// <summary>A stream whose writes wait.</summary>
    private sealed class StuckStream : MemoryStream
    {
        private readonly ManualResetEventSlim _released = new();

        public ManualResetEventSlim Entered { get; } = new();

        public void Release() => _released.Set();

        public override void Write(byte[] buffer, int offset, int count)
        {
            Entered.Set();
            _released.Wait(Soon);
        }
    }

    private sealed class FullDisk
    {
        private readonly MemoryStream _written = new();

        public volatile bool HasSpace;

        public string Text => Encoding.UTF8.GetString(_written.ToArray());

        public Stream Open() => new DiskStream(this);

        private sealed class DiskStream(FullDisk disk) : MemoryStream
        {
            public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

            public override void Write(ReadOnlySpan<byte> buffer)
            {
                if (!disk.HasSpace)
                    throw new IOException("No space left on device");
                disk._written.Write(buffer);
            }
        }
    }
}
