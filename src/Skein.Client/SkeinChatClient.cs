using System.ClientModel;
using System.ClientModel.Primitives;
using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Extensions.AI;
using OpenAI;

namespace Skein.Client;

/// <summary>
/// Chats with a Skein gateway. An answer that breaks off is an <see cref="AnswerTruncatedException"/>, never a short answer. A gateway that is overloaded is
/// asked again when it says so. Thread-safe.
/// </summary>
public sealed class SkeinChatClient : DelegatingChatClient
{
    /// <summary>The OpenAI client refuses to work without a key. A gateway without keys does not read it.</summary>
    private const string NoKey = "none";

    private readonly HttpClient _http;

    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public SkeinChatClient(SkeinClientOptions options)
        : this(options, new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5) }, TimeProvider.System)
    {
    }

    /// <param name="handler">Sends the requests; disposed with this client.</param>
    internal SkeinChatClient(SkeinClientOptions options, HttpMessageHandler handler, TimeProvider time)
        : this(options, new HttpClient(RetryHandler.Create(options, handler, time)) { Timeout = Timeout.InfiniteTimeSpan })
    {
    }

    private SkeinChatClient(SkeinClientOptions options, HttpClient http)
        : base(Connect(options, http)) => _http = http;

    /// <exception cref="AnswerTruncatedException">The answer has no finish reason.</exception>
    public override async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var response = await base.GetResponseAsync(messages, options, cancellationToken);
        return response.FinishReason is not null ? response : throw new AnswerTruncatedException(response.Text);
    }

    /// <exception cref="AnswerTruncatedException">The stream broke after it had begun, or ended without a finish reason.</exception>
    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var received = new StringBuilder();
        var (hasBegun, hasEnded) = (false, false);
        await using var updates = base.GetStreamingResponseAsync(messages, options, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (true)
        {
            try
            {
                if (!await updates.MoveNextAsync())
                    break;
            }
            catch (Exception broken) when (hasBegun && !hasEnded && !cancellationToken.IsCancellationRequested)
            {
                throw new AnswerTruncatedException(received.ToString(), broken);
            }

            var update = updates.Current;
            hasBegun = true;
            hasEnded |= update.FinishReason is not null;
            received.Append(update.Text);
            yield return update;
        }

        if (!hasEnded)
            throw new AnswerTruncatedException(received.ToString());
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _http.Dispose();
        base.Dispose(disposing);
    }

    private static IChatClient Connect(SkeinClientOptions options, HttpClient http)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var client = new OpenAIClient(new ApiKeyCredential(options.ApiKey ?? NoKey), new OpenAIClientOptions
        {
            Endpoint = options.Endpoint,
            NetworkTimeout = options.SilenceTimeout,
            Transport = new HttpClientPipelineTransport(http),
            // RetryHandler knows which requests may be sent again, and when.
            RetryPolicy = new ClientRetryPolicy(maxRetries: 0),
        });
        return client.GetChatClient(options.Model).AsIChatClient();
    }
}
