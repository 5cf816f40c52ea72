using PuppeteerSharp;
using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>The dashboard in Chromium, against real processes.</summary>
[Collection(SimulatedCluster.Name)]
public sealed class DashboardTests(SimulatedCluster shared)
{
    /// <summary>Each token has the colour of its replica: the serving one is killed while the answer is on the page.</summary>
    [Fact]
    public async Task Playground_ServingReplicaIsKilled_AnswerGoesOnInAnotherColour()
    {
        await using var browser = await BrowserOrSkip.StartAsync();
        await shared.Cluster.WholeAsync();
        var handles = await shared.Cluster.HandlesAsync();
        await using var page = await browser.OpenAsync(shared.Cluster.Http);
        await page.SelectAsync("#model", "simulated");

        await page.EvaluateExpressionAsync("document.getElementById('max-tokens').value = '120'");
        await page.ClickAsync("#send");
        await browser.WhenAsync(page, "document.querySelectorAll('#answer span').length >= 10");
        var serving = (await TextAsync(page, "#legend li")).TrimStart('■', ' ');
        var lost = handles[serving];
        lost.Send(Signal.Kill);
        await browser.WhenAsync(page, "document.getElementById('answer-state').textContent.startsWith('finished')");

        Assert.Matches(@"^finished \(length\), \d+ pieces, 1 failovers$", await TextAsync(page, "#answer-state"));
        var colours = await page.EvaluateExpressionAsync<string[]>("[...new Set([...document.querySelectorAll('#answer span')].map(each => each.className.split(' ')[0]))]");
        Assert.Equal(["r0", "r1"], colours);
        await browser.WhenAsync(page, $"document.getElementById('failovers').textContent.includes('left {serving} at token')");
        Assert.Empty(browser.Problems);
        await shared.Cluster.MemberAsync(serving, row => row.State == "alive" && row.Pid != lost.Pid, "is back after its restart", Until.StartTimeout);
    }

    [Fact]
    public async Task Drain_ByButton_IsShownAndCanBeUndone()
    {
        await using var browser = await BrowserOrSkip.StartAsync();
        await shared.Cluster.WholeAsync();
        await using var page = await browser.OpenAsync(shared.Cluster.Http);
        page.Dialog += (_, asked) => _ = asked.Dialog.Accept("0");
        const string Row = "[...document.querySelectorAll('#members tr')].find(row => row.dataset.name === 'replica-2')";
        await browser.WhenAsync(page, $"{Row} !== undefined");

        await page.EvaluateExpressionAsync($"{Row}.querySelector('button[aria-label=\"Drain replica-2\"]').click()");
        await browser.WhenAsync(page, $"{Row}.children[1].textContent === 'draining'");
        await page.EvaluateExpressionAsync($"{Row}.querySelector('button[aria-label=\"Undrain replica-2\"]').click()");
        await browser.WhenAsync(page, $"{Row}.children[1].textContent === 'alive'");

        Assert.Equal("Undrain replica-2: done", await TextAsync(page, "#action-result"));
        Assert.Empty(browser.Problems);
    }

    [Fact]
    public async Task Rollout_ByButton_BringsAllReplicasToTheRevision()
    {
        await using var browser = await BrowserOrSkip.StartAsync();
        await shared.Cluster.WholeAsync();
        await using var page = await browser.OpenAsync(shared.Cluster.Http);
        page.Dialog += (_, asked) => _ = asked.Dialog.Accept("of-the-page");
        await browser.WhenAsync(page, "document.querySelectorAll('#members tr').length >= 5");

        await page.ClickAsync("#rollout");
        await browser.WhenAsync(page, "document.getElementById('action-result').className !== ''");

        Assert.Equal("Rollout to of-the-page: done, 3 replicas updated", await TextAsync(page, "#action-result"));
        foreach (var name in (string[])["replica-1", "replica-2", "replica-3"])
            await shared.Cluster.MemberAsync(name, row => row is { State: "alive", Revision: "of-the-page" }, "is at the revision", Until.StartTimeout);
        Assert.Empty(browser.Problems);
    }

    /// <summary>Nothing but the table of members may be wider than a phone, and that scrolls by itself.</summary>
    [Theory]
    [InlineData("light")]
    [InlineData("dark")]
    public async Task Page_OnAPhone_IsNotWiderThanTheScreenAndIsReadable(string scheme)
    {
        await using var browser = await BrowserOrSkip.StartAsync();
        await using var page = await browser.OpenAsync(shared.Cluster.Http, width: 360, scheme);
        await browser.WhenAsync(page, "document.querySelectorAll('#members tr').length >= 5");

        Assert.InRange(await page.EvaluateExpressionAsync<int>("document.documentElement.scrollWidth"), 1, 360);
        Assert.InRange(await page.EvaluateFunctionAsync<double>(Contrast, "body", "body"), 7, 21);
        Assert.InRange(await page.EvaluateFunctionAsync<double>(Contrast, "#gateway", "body"), 4.5, 21);
        Assert.InRange(await page.EvaluateFunctionAsync<double>(Contrast, "#members td.good", "section"), 4.5, 21);
    }

    [Fact]
    public async Task Keyboard_ReachesThePromptAndSends()
    {
        await using var browser = await BrowserOrSkip.StartAsync();
        await shared.Cluster.WholeAsync();
        await using var page = await browser.OpenAsync(shared.Cluster.Http);
        await page.SelectAsync("#model", "simulated");

        await page.FocusAsync("#max-tokens");
        await page.Keyboard.PressAsync("Tab");
        Assert.Equal("prompt", await page.EvaluateExpressionAsync<string>("document.activeElement.id"));
        await page.Keyboard.PressAsync("Tab");
        Assert.Equal("send", await page.EvaluateExpressionAsync<string>("document.activeElement.id"));
        await page.Keyboard.PressAsync("Enter");

        await browser.WhenAsync(page, "document.querySelectorAll('#answer span').length >= 1");
    }

    // The contrast ratio of WCAG 2, 1.4.3.
    private const string Contrast =
        """
        (text, back) => {
          const luminance = color => color.match(/[\d.]+/g).slice(0, 3).map(Number).map(value => value / 255)
            .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
            .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
          const one = luminance(getComputedStyle(document.querySelector(text)).color);
          const other = luminance(getComputedStyle(document.querySelector(back)).backgroundColor);
          return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        }
        """;

    private static Task<string> TextAsync(IPage page, string selector) =>
        page.EvaluateFunctionAsync<string>("selector => document.querySelector(selector).textContent", selector);
}
