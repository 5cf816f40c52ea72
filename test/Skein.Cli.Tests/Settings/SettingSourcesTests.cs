using System.Collections;
using System.CommandLine;
using Skein.Cli.Settings;

namespace Skein.Cli.Tests.Settings;

public sealed class SettingSourcesTests : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"skein-{Guid.NewGuid():N}.json");
    private readonly Setting<int> _slots = Setting.Number("max-slots", "Slots", 64, 1, 100)
        .Formerly(Setting.Number("most-slots", "Slots", 64, 1, 100));

    private readonly Setting<IReadOnlyList<string>> _join = Setting.List("join", "host", "Seeds", "a host", 3, host => host.Length > 0);
    private readonly Setting<bool> _quiet = Setting.Flag("quiet", "Says nothing");

    private ISetting[] Settings => [_slots, _slots.Former!, _join, _quiet];

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
    [InlineData("--most-slots 1", null, null, 1)]
    [InlineData("", "2", null, 2)]
    [InlineData("", null, """{"mostSlots": 3}""", 3)]
    [InlineData("--most-slots 1", "2", """{"maxSlots": 4}""", 4)]
    public void Read_FormerName_IsReadFromEverySourceUnlessTheNewNameIsSet(string flags, string? environment, string? file, int expected)
    {
        var sources = Sources(flags, environment is null ? null : ("SKEIN_MOST_SLOTS", environment), file);

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

    [Theory]
    [InlineData("maxslots", """{"join": "a", "maxslots": 2}""", "did you mean 'maxSlots'?")]
    [InlineData("jion", """{"jion": "a"}""", "did you mean 'join'?")]
    [InlineData("slots", """{"maxSlots": 1, "slots": 2}""", "allowed: join, maxSlots, quiet")]
    [InlineData("gateway", """{"gateway": {"maxSlots": 1}}""", "allowed: join, maxSlots, quiet")]
    public void Open_UnknownKey_NamesItAndTheNearestOrTheAllowed(string key, string file, string advice)
    {
        var error = Assert.Throws<UsageException>(() => Sources("", null, file));

        Assert.Equal($"'{key}' in {_file} is not a setting; {advice}", error.Message);
    }

    [Theory]
    [InlineData("""{"maxSlots": {"a": 1}}""")]
    [InlineData("""{"maxSlots": [[1]]}""")]
    public void Read_ObjectForAValue_IsRefused(string file) =>
        Assert.Equal(
            $"'maxSlots' in {_file} '{{}}' is not allowed; allowed: a whole number from 1 to 100",
            Assert.Throws<UsageException>(() => _slots.Read(Sources("", null, file))).Message);

    [Fact]
    public void Read_NullInTheFile_IsTheDefault() => Assert.Equal(64, _slots.Read(Sources("", null, """{"maxSlots": null} // none""")));

    [Fact]
    public void Find_Value_TellsItsOrigin()
    {
        var sources = Sources("--quiet", ("SKEIN_MAX_SLOTS", "2"), """{"maxSlots": 3, "join": "a"}""");

        Assert.Equal(("2", "SKEIN_MAX_SLOTS"), sources.Find(_slots));
        Assert.Equal(("a", $"'join' in {_file}"), sources.Find(_join));
        Assert.Equal("--quiet", sources.Find(_quiet)?.Origin);
    }

    [Theory]
    [InlineData("[]", "is not a JSON object")]
    [InlineData("""{"maxSlots": 1, "maxslots": 2}""", "is not a JSON object with distinct keys: A duplicate key 'maxslots' was found.")]
    [InlineData("{", "is not JSON")]
    [InlineData(null, "cannot be read")]
    public void Open_BadFile_SaysWhatIsWrong(string? content, string problem)
    {
        if (content is not null)
            File.WriteAllText(_file, content);

        var error = Assert.Throws<UsageException>(() => new SettingSources(Parse(""), Settings, new Hashtable(), _file));

        Assert.StartsWith($"--config {_file} {problem}", error.Message);
    }

    private SettingSources Sources(string flags, (string Name, string Value)? environment = null, string? file = null)
    {
        var variables = new Hashtable();
        if (environment is { } variable)
            variables[variable.Name] = variable.Value;
        if (file is not null)
            File.WriteAllText(_file, file);
        return new SettingSources(Parse(flags), Settings, variables, file is null ? null : _file);
    }

    private ParseResult Parse(string flags)
    {
        var command = new RootCommand();
        foreach (var setting in Settings)
            command.Options.Add(setting.Option);
        var parsed = command.Parse(flags);
        Assert.Empty(parsed.Errors);
        return parsed;
    }
}
