using System.Collections;
using System.CommandLine;
using Skein.Cli.Settings;

namespace Skein.Cli.Tests.Settings;

public sealed class SettingSourcesTests : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"skein-{Guid.NewGuid():N}.json");
    private readonly Setting<int> _slots = Setting.Number("max-slots", "Slots", 64, 1, 100);
    private readonly Setting<IReadOnlyList<string>> _join = Setting.List("join", "host", "Seeds", "a host", 3, host => host.Length > 0);
    private readonly Setting<bool> _quiet = Setting.Flag("quiet", "Says nothing");

    public void Dispose() => File.Delete(_file);

    [Theory]
    [InlineData("--max-slots 1", "2", "3", 1)]
    [InlineData("", "2", "3", 2)]
    [InlineData("", "", "3", 3)]
    [InlineData("", null, null, 64)]
    public void Read_SetInSeveralPlaces_FlagBeatsEnvironmentBeatsFile(string flags, string? environment, string? file, int expected)
    {
        var sources = Sources(flags, environment is null ? null : ("SKEIN_MAX_SLOTS", environment), file is null ? null : $$"""{"maxSlots": {{file}}}""");

        Assert.Equal(expected, _slots.Read(sources));
    }

    [Theory]
    [InlineData("--max-slots 101", null, null, "--max-slots '101'")]
    [InlineData("", "x", null, "SKEIN_MAX_SLOTS 'x'")]
    [InlineData("", null, """{"maxSlots": -1}""", "'maxSlots' in {file} '-1'")]
    public void Read_WrongValue_NamesThePlaceTheValueAndWhatIsAllowed(string flags, string? environment, string? file, string culprit)
    {
        var sources = Sources(flags, environment is null ? null : ("SKEIN_MAX_SLOTS", environment), file);

        var error = Assert.Throws<UsageException>(() => _slots.Read(sources));

        Assert.Equal($"{culprit.Replace("{file}", _file, StringComparison.Ordinal)} is not allowed; allowed: a whole number from 1 to 100", error.Message);
    }

    [Theory]
    [InlineData("--join a:1 --join b:2", null)]
    [InlineData("--join a:1,b:2", null)]
    [InlineData("", """{"join": ["a:1", "b:2"]}""")]
    public void Read_List_IsTheSameHoweverItIsWritten(string flags, string? file) =>
        Assert.Equal(["a:1", "b:2"], _join.Read(Sources(flags, null, file)));

    [Theory]
    [InlineData("--quiet", true)]
    [InlineData("--quiet false", false)]
    [InlineData("", false)]
    public void Read_Flag_NeedsNoValue(string flags, bool expected) => Assert.Equal(expected, _quiet.Read(Sources(flags)));

    [Fact]
    public void Of_AVerb_HasNamesOfItsOwnButTheSameFlag()
    {
        var model = Setting.Text("big-model", "name", "Model").Of("chat");

        Assert.Equal(("--big-model", "SKEIN_CHAT_BIG_MODEL", "chatBigModel"), (model.Option.Name, model.EnvironmentVariable, model.Key));
    }

    [Fact]
    public void CheckKeys_UnknownKey_NamesItAndTheAllowed()
    {
        var sources = Sources("", null, """{"maxSlots": 1, "maxslots": 2}""");

        var error = Assert.Throws<UsageException>(() => sources.CheckKeys([_slots, _join, _quiet]));

        Assert.Equal($"'maxslots' in {_file} is not a setting; allowed: join, maxSlots, quiet", error.Message);
    }

    [Theory]
    [InlineData("[]", "is not a JSON object")]
    [InlineData("{", "is not JSON")]
    [InlineData(null, "cannot be read")]
    public void Open_BadFile_SaysWhatIsWrong(string? content, string problem)
    {
        if (content is not null)
            File.WriteAllText(_file, content);

        var error = Assert.Throws<UsageException>(() => new SettingSources(Parse(""), new Hashtable(), _file));

        Assert.StartsWith($"--config {_file} {problem}", error.Message);
    }

    private SettingSources Sources(string flags, (string Name, string Value)? environment = null, string? file = null)
    {
        var variables = new Hashtable();
        if (environment is { } variable)
            variables[variable.Name] = variable.Value;
        if (file is not null)
            File.WriteAllText(_file, file);
        return new SettingSources(Parse(flags), variables, file is null ? null : _file);
    }

    private ParseResult Parse(string flags)
    {
        var command = new RootCommand();
        foreach (var setting in new ISetting[] { _slots, _join, _quiet })
            command.Options.Add(setting.Option);
        var parsed = command.Parse(flags);
        Assert.Empty(parsed.Errors);
        return parsed;
    }
}
