using System.Collections.Concurrent;
using PuppeteerSharp;
using PuppeteerSharp.Media;

namespace Skein.EndToEnd.Support;

/// <summary>Chromium without a window. A test that starts it skips where there is none.</summary>
internal sealed class BrowserOrSkip : IAsyncDisposable
{
    private const string PathVariable = "SKEIN_CHROMIUM";

    private static readonly string[] Usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

    private readonly IBrowser _browser;
    private readonly ConcurrentQueue<string> _problems = [];

    private BrowserOrSkip(IBrowser browser) => _browser = browser;

    /// <summary>Errors of the pages' scripts, and what their content policy refused.</summary>
    public IReadOnlyList<string> Problems => [.. _problems];

    public static async Task<BrowserOrSkip> StartAsync()
    {
        var path = Environment.GetEnvironmentVariable(PathVariable) ?? Usual.FirstOrDefault(File.Exists);
        Assert.SkipWhen(path is null, $"needs Chromium: install it, or set {PathVariable} to its path");
        return new BrowserOrSkip(await Puppeteer.LaunchAsync(new LaunchOptions
        {
            // Containers run tests as root, where Chromium's own sandbox does not start; the pages are ours.
            Headless = true, ExecutablePath = path, Args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        }));
    }

    public async Task<IPage> OpenAsync(Uri url, int width = 1100, string scheme = "light")
    {
        var page = await _browser.NewPageAsync();
        page.DefaultTimeout = (int)Until.StartTimeout.TotalMilliseconds;
        page.PageError += (_, error) => _problems.Enqueue(error.Message);
        page.Console += (_, said) =>
        {
            if (said.Message.Type == ConsoleType.Error)
                _problems.Enqueue(said.Message.Text);
        };
        await page.SetViewportAsync(new ViewPortOptions { Width = width, Height = 900 });
        await page.EmulateMediaFeaturesAsync([new MediaFeatureValue { MediaFeature = MediaFeature.PrefersColorScheme, Value = scheme }]);
        await page.GoToAsync(url.ToString());
        await WhenAsync(page, "document.getElementById('connection').textContent === 'live'");
        return page;
    }

    /// <summary>Waits until an expression is true.</summary>
    public async Task WhenAsync(IPage page, string expression)
    {
        try
        {
            await page.WaitForExpressionAsync(expression);
        }
        catch (WaitTaskTimeoutException)
        {
            var text = await page.EvaluateExpressionAsync<string>("document.body.innerText");
            Assert.Fail($"never true: {expression}\n{string.Join('\n', _problems)}\n{text}");
        }
    }

    public ValueTask DisposeAsync() => _browser.DisposeAsync();
}
