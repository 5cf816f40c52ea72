using Google.Protobuf;

namespace Skein.Gateway.Api.Grpc;

/// <summary>
/// Binds a service so that a message that cannot be parsed is the client's error. The library would answer UNKNOWN, with the name of an exception.
/// </summary>
internal sealed class CheckedMessages(ServiceBinderBase binder) : ServiceBinderBase
{
    /// <summary>Named by the attribute of <see cref="InferenceGateway"/>.</summary>
    public static void Bind(ServiceBinderBase binder, Inference.InferenceBase service) => Inference.BindService(new CheckedMessages(binder), service);

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler) =>
        binder.AddMethod(Checked(method), handler!);

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler) =>
        binder.AddMethod(Checked(method), handler!);

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler) =>
        binder.AddMethod(Checked(method), handler!);

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler) =>
        binder.AddMethod(Checked(method), handler!);

    private static Method<TRequest, TResponse> Checked<TRequest, TResponse>(Method<TRequest, TResponse> method)
        where TRequest : class
        where TResponse : class
    {
        var read = method.RequestMarshaller.ContextualDeserializer;
        var marshaller = new Marshaller<TRequest>(method.RequestMarshaller.ContextualSerializer, context =>
        {
            try
            {
                return read(context);
            }
            catch (InvalidProtocolBufferException error)
            {
                throw new RpcException(new Status(StatusCode.InvalidArgument, $"the bytes are no {typeof(TRequest).Name}: {error.Message}"));
            }
        });
        return new Method<TRequest, TResponse>(method.Type, method.ServiceName, method.Name, marshaller, method.ResponseMarshaller);
    }
}
