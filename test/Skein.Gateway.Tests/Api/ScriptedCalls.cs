using System.Text;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api;

/// <summary>Calls that are passed through: each gets the same answer.</summary>
internal sealed class ScriptedCalls : IEngineCalls
{
    private readonly List<InvokeRequest> _asked = [];

    public IReadOnlyList<InvokeRequest> Asked => _asked;

    public InvokeStart Start { get; set; } = new() { Status = 200, ContentType = "application/json" };

    public string Body { get; set; } = "{}";

    /// <summary>Ends every call before its answer; null: nothing does.</summary>
    public FaultException? Refusal { get; set; }

    /// <summary>Ends every answer after its body; null: nothing does.</summary>
    public FaultException? Loss { get; set; }

    public Task<IEngineCall> StartAsync(InvokeRequest request, CancellationToken cancellationToken)
    {
        _asked.Add(request);
        return Refusal is null ? Task.FromResult<IEngineCall>(new Call(this)) : Task.FromException<IEngineCall>(Refusal);
    }

    private sealed class Call(ScriptedCalls script) : IEngineCall
    {
        private bool _isRead;

        public string Replica => "replica-1";

        public int Attempts => 1;

        public InvokeStart Start => script.Start;

        public ValueTask<ReadOnlyMemory<byte>?> ReadAsync()
        {
            if (_isRead)
                return script.Loss is null ? default : ValueTask.FromException<ReadOnlyMemory<byte>?>(script.Loss);
            _isRead = true;
            return ValueTask.FromResult<ReadOnlyMemory<byte>?>(Encoding.UTF8.GetBytes(script.Body));
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
