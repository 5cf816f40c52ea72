using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Skein.Serving.Tests;

public sealed class BrokenRequestsTests
{
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task Request_BreaksOnItsOwnOrWhileTheServerStops_IsAnErrorOnlyIfOnItsOwn(bool stops, bool isError)
    {
        using var log = new ErrorLines();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(log);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var app = builder.Build();
        var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var broken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        app.UseQuietEnds();
        app.Run(async _ =>
        {
            entered.SetResult();
            await broken.Task;
            throw new InvalidOperationException("it broke");
        });
        await app.StartAsync(TestContext.Current.CancellationToken);
        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };

        var asking = client.GetAsync("/", TestContext.Current.CancellationToken);
        await entered.Task;
        if (stops)
            app.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
        broken.SetResult();

        if (isError)
            Assert.Equal(HttpStatusCode.InternalServerError, (await asking).StatusCode);
        else
            await Assert.ThrowsAsync<HttpRequestException>(() => asking);
        await app.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(isError ? 1 : 0, log.Lines.Count);
    }
}
