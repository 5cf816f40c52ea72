using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.OpenAiCompatible;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>
/// A server without sockets: answers paths as configured, 404 elsewhere, and keeps the bodies of what was asked. Answers of several lines are streams, one
/// event a line. What the engine asks to see whether the server continues texts is not kept, and answered by a text that goes on.
/// </summary>
internal sealed class FakeServer : HttpMessageHandler
{
    private readonly Dictionary<string, Func<JsonElement, IEnumerable<string>>> _answers = [];
    private readonly List<(string Path, string Body)> _asked = [];

    /// <summary>What was asked since it was connected.</summary>
    public IReadOnlyList<(string Path, string Body)> Asked => _asked;

    public FakeServer On(string path, string answer) => On(path, _ => [answer]);

    public FakeServer On(string path, Func<JsonElement, IEnumerable<string>> answer)
    {
        _answers[path] = answer;
        return this;
    }

    /// <summary>Status of every stream.</summary>
    public HttpStatusCode Status { get; init; } = HttpStatusCode.OK;

    /// <summary>Headers of every answer.</summary>
    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];

    /// <summary>Number of requests that were to show whether it continues texts.</summary>
    public int Proofs { get; private set; }

    /// <summary>Whether it continues texts.</summary>
    public bool ContinuesTexts { get; set; } = true;

    public async Task<IInferenceEngine> ConnectAsync(Func<OpenAiEngineOptions, OpenAiEngineOptions>? change = null)
    {
        var options = new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test/v1"), Slots = 8, IsBitExact = true };
        // The time stands still: on a busy machine, a proof would else be late, and the tier another one.
        var engine = await OpenAiEngineFactory.ConnectAsync(
            change?.Invoke(options) ?? options, new FakeTimeProvider(TimeProvider.System.GetUtcNow()), () => this, TestContext.Current.CancellationToken);
        _asked.Clear();
        return engine;
    }

    /// <summary>Fails every call, if set.</summary>
    public Exception? Unreachable { get; set; }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var path = request.RequestUri!.AbsolutePath;
        var body = request.Content is null ? "" : await request.Content.ReadAsStringAsync(cancellationToken);
        if (ProofStory.TryAnswer(path, body) is { } proof && _answers.ContainsKey(path) && ContinuesTexts)
        {
            Proofs++;
            return new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent(proof, Encoding.UTF8, "text/event-stream") };
        }

        _asked.Add((path, body));
        if (Unreachable is not null)
        {
            throw Unreachable;
        }

        if (!_answers.TryGetValue(path, out var answer))
        {
            return new HttpResponseMessage(HttpStatusCode.NotFound) { Content = new StringContent("""{"detail":"Not Found"}""") };
        }

        var question = body.Length > 0 ? JsonElement.Parse(body) : default;
        var lines = answer(question).ToList();
        var isStream = question.ValueKind == JsonValueKind.Object && question.TryGetProperty("stream", out var stream) && stream.GetBoolean();
        var text = isStream && Status == HttpStatusCode.OK ? string.Concat(lines.Select(line => $"data: {line}\n\n")) : lines.Single();
        var status = request.Method == HttpMethod.Post && isStream ? Status : HttpStatusCode.OK;
        var response = new HttpResponseMessage(status) { Content = new StringContent(text, Encoding.UTF8, isStream ? "text/event-stream" : "application/json") };
        foreach (var (name, value) in Headers)
        {
            Assert.True(response.Headers.TryAddWithoutValidation(name, value));
        }

        return response;
    }
}
