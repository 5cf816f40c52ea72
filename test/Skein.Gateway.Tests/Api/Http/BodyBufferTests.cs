using System.Buffers;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Skein.Gateway.Api.Http;
using Skein.Protocol;

namespace Skein.Gateway.Tests.Api.Http;

public sealed class BodyBufferTests
{
    private const int Block = 256 << 10;

    [Theory]
    [InlineData(0, 4096)]
    [InlineData(4096, 4096)]
    [InlineData(4097, 4096)]
    [InlineData(4096 + Block, 4096)]
    [InlineData(4096 + Block + 1, 4096)]
    [InlineData((3 * Block) + 77, 0)]
    public void Append_PartsOfAnySize_GivesTheBody(int length, int initial)
    {
        var body = new byte[length];
        new Random(length).NextBytes(body);
        foreach (var part in new[] { 1021, 65_536, Math.Max(1, length) })
        {
            using var buffer = new BodyBuffer(initial, 1 << 30, Budget(1 << 30).Open());
            for (var at = 0; at < length; at += part)
                buffer.Append(new ReadOnlySequence<byte>(body, at, Math.Min(part, length - at)));

            Assert.Equal(length, buffer.Length);
            Assert.Equal(body, buffer.ToMemory().ToArray());
        }
    }

    [Fact]
    public void Append_PastTheMemoryOfAllBodies_IsRefused()
    {
        using var share = Budget(Block + 4096).Open();
        using var buffer = new BodyBuffer(4096, 1 << 30, share);
        buffer.Append(new ReadOnlySequence<byte>(new byte[4096 + Block]));

        var refused = Assert.Throws<FaultException>(() => buffer.Append(new ReadOnlySequence<byte>(new byte[1])));

        Assert.Equal(Fault.TooManySessions, refused.Fault);
    }

    [Fact]
    public void Dispose_OfALargeBodyThatIsRefused_LeavesNoGarbageOfItsSize()
    {
        var budget = Budget(1 << 30);
        var part = new ReadOnlySequence<byte>(new byte[Block]);
        Fill(budget, part);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Fill(budget, part);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, Block);
    }

    [Fact]
    public void ToMemory_OfAWholeBody_HoldsNoMoreThanItsSize()
    {
        var budget = Budget(2 * (Block + 10_000));
        using var one = budget.Open();
        using var other = budget.Open();
        var body = new ReadOnlySequence<byte>(new byte[Block + 10_000]);

        foreach (var share in new[] { one, other })
        {
            using var buffer = new BodyBuffer(4096, Block + 10_000, share);
            buffer.Append(body);
            Assert.Equal(body.Length, buffer.ToMemory().Length);
        }

        Assert.Throws<FaultException>(() => one.GrowTo(body.Length + 1));
    }

    private static void Fill(RequestMemoryBudget budget, ReadOnlySequence<byte> part)
    {
        using var share = budget.Open();
        using var buffer = new BodyBuffer(4096, 1 << 30, share);
        for (var i = 0; i < 8; i++)
            buffer.Append(part);
    }

    private static RequestMemoryBudget Budget(long bytes)
    {
        var meters = new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>();
        return new RequestMemoryBudget(meters, new ApiOptions { MaxBodyBytes = 4096, MaxBodyMemoryBytes = bytes });
    }
}
