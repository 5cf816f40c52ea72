using Microsoft.Extensions.Time.Testing;

namespace Skein.Serving.Tests.Admin;

public sealed class GraceTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly ReplicaControl _control;
    private int _changes;

    public GraceTests()
    {
        _control = new ReplicaControl(new SlotTable(1, TimeProvider.System), _time);
        _control.DrainChanged += () => _changes++;
    }

    public void Dispose() => _control.Dispose();

    [Fact]
    public void Drain_WithGrace_RaisesDrainChangedAtItsBeginAndAtItsEnd()
    {
        Assert.True(_control.Drain(TimeSpan.FromSeconds(30)));
        Assert.Equal((true, TimeSpan.FromSeconds(30), 1), (_control.IsDraining, _control.GraceLeft, _changes));

        _time.Advance(TimeSpan.FromSeconds(29));
        Assert.Equal((TimeSpan.FromSeconds(1), 1), (_control.GraceLeft, _changes));

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal((TimeSpan.Zero, 2), (_control.GraceLeft, _changes));
    }

    [Theory]
    [InlineData(60, 30, 1)]
    [InlineData(30, 30, 1)]
    [InlineData(5, 5, 2)]
    [InlineData(0, 0, 2)]
    public void Drain_Again_OnlyShortensTheGrace(int seconds, int left, int changes)
    {
        _control.Drain(TimeSpan.FromSeconds(30));

        Assert.False(_control.Drain(TimeSpan.FromSeconds(seconds)));

        Assert.Equal((TimeSpan.FromSeconds(left), changes), (_control.GraceLeft, _changes));
    }

    [Fact]
    public void Drain_AgainAfterTheGrace_DoesNotBringItBack()
    {
        _control.Drain();

        Assert.False(_control.Drain(TimeSpan.FromSeconds(30)));

        Assert.Equal((TimeSpan.Zero, 1), (_control.GraceLeft, _changes));
    }

    [Fact]
    public void Undrain_EndsTheGraceAndItsClock()
    {
        _control.Drain(TimeSpan.FromSeconds(30));

        Assert.True(_control.Undrain());
        Assert.False(_control.Undrain());
        _time.Advance(TimeSpan.FromMinutes(1));

        Assert.Equal((false, null, 2), (_control.IsDraining, _control.GraceLeft, _changes));
    }

    [Fact]
    public void Drain_AfterUndrain_HasAGraceOfItsOwn()
    {
        _control.Drain();
        _control.Undrain();

        Assert.True(_control.Drain(TimeSpan.FromSeconds(10)));

        Assert.Equal(TimeSpan.FromSeconds(10), _control.GraceLeft);
    }
}
