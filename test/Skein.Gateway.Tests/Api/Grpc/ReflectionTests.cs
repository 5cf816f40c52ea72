using System.Diagnostics;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;
using Grpc.Net.Client;
using V1 = Grpc.Reflection.V1;
using V1Alpha = Grpc.Reflection.V1Alpha;

namespace Skein.Gateway.Tests.Api.Grpc;

/// <summary>Clients that know nothing but the address.</summary>
public sealed class ReflectionTests
{
    private const string Python = "/usr/bin/python3";

    /// <summary>Asks by reflection for the messages, calls Describe and Generate with them, and prints what came.</summary>
    private const string Client = """
        import sys, grpc
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

        def field(data, wanted):
            at, found = 0, []
            def varint():
                nonlocal at
                value = shift = 0
                while True:
                    byte = data[at]; at += 1
                    value |= (byte & 127) << shift; shift += 7
                    if byte < 128: return value
            while at < len(data):
                key = varint()
                if key & 7 == 0: varint(); continue
                size = varint()
                if key >> 3 == wanted: found.append(data[at:at + size])
                at += size
            return found

        channel = grpc.insecure_channel(sys.argv[1])
        symbol = b"skein.v1.Inference"
        raw = lambda data: data
        reflect = channel.stream_stream(f"/grpc.reflection.{sys.argv[2]}.ServerReflection/ServerReflectionInfo", raw, raw)
        answer = next(reflect(iter([b"\x22" + bytes([len(symbol)]) + symbol])))
        pool = descriptor_pool.DescriptorPool()
        for file in reversed(field(field(answer, 4)[0], 1)):
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(file))
        factory = message_factory.MessageFactory(pool)
        message = lambda name: factory.GetPrototype(pool.FindMessageTypeByName("skein.v1." + name))
        describe = channel.unary_unary("/skein.v1.Inference/Describe", message("DescribeRequest").SerializeToString, message("DescribeResponse").FromString)
        described = describe(message("DescribeRequest")())
        print(described.engine, described.load.slots, *[(model.name, model.context_tokens, model.chat) for model in described.models])
        generate = channel.unary_stream("/skein.v1.Inference/Generate", message("GenerateRequest").SerializeToString, message("GenerateFrame").FromString)
        print(b"".join(frame.text for frame in generate(message("GenerateRequest")(model="tiny", text="hi", max_tokens=2))).decode())
        try:
            channel.unary_unary("/skein.v1.Inference/Continue", raw, raw)(b"")
        except grpc.RpcError as error:
            print(error.code().name, error.details())
        """;

    [Fact]
    public async Task ServerReflection_V1_TellsServicesAndTheirFiles()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new V1.ServerReflection.ServerReflectionClient(channel).ServerReflectionInfo();

        await call.RequestStream.WriteAsync(new V1.ServerReflectionRequest { ListServices = "" });
        Assert.True(await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        Assert.Contains("skein.v1.Inference", call.ResponseStream.Current.ListServicesResponse.Service.Select(service => service.Name));
        await call.RequestStream.WriteAsync(new V1.ServerReflectionRequest { FileContainingSymbol = "skein.v1.Inference" });
        Assert.True(await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken));

        AssertHasInference(call.ResponseStream.Current.FileDescriptorResponse.FileDescriptorProto);
    }

    [Fact]
    public async Task ServerReflection_V1Alpha_TellsServicesAndTheirFiles()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var channel = GrpcChannel.ForAddress(gateway.Http2);
        using var call = new V1Alpha.ServerReflection.ServerReflectionClient(channel).ServerReflectionInfo();

        await call.RequestStream.WriteAsync(new V1Alpha.ServerReflectionRequest { FileContainingSymbol = "skein.v1.Inference" });
        Assert.True(await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken));

        AssertHasInference(call.ResponseStream.Current.FileDescriptorResponse.FileDescriptorProto);
    }

    /// <summary>Another language and another implementation of gRPC.</summary>
    [Theory]
    [InlineData("v1")]
    [InlineData("v1alpha")]
    public async Task Python_WithNothingButReflection_DescribesAndGenerates(string version)
    {
        Assert.SkipUnless(
            File.Exists(Python) && (await RunAsync("-c", "import grpc, google.protobuf")).ExitCode == 0,
            "python3-grpcio is not installed: apt-get install python3-grpcio");
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("Once", " upon"));
            session.End();
        });

        var (exitCode, output) = await RunAsync("-c", Client, gateway.Http2.Authority, version);

        Assert.Equal(
            "gateway 8 ('tiny', 512, True) ('org/big \"q\"', 0, False)\nOnce upon\n"
            + "UNIMPLEMENTED Continue is what gateways call on replicas, and this is a gateway: a gateway continues lost answers itself\n",
            output);
        Assert.Equal(0, exitCode);
    }

    /// <summary>Clients without reflection compile the proto files. Members of proto3 that are <c>optional</c> need protoc 3.15.</summary>
    [Fact]
    public async Task ProtoFiles_CompileWithPythonsTools()
    {
        var (exitCode, version) = File.Exists(Python) ? await RunAsync("-m", "grpc_tools.protoc", "--version") : (1, "");
        Assert.SkipUnless(exitCode == 0, "python3-grpc-tools is not installed: apt-get install python3-grpc-tools");
        Assert.SkipWhen(
            Version.Parse(version.Trim()["libprotoc ".Length..]) < new Version(3, 15), $"{version.Trim()} knows no optional members of proto3; protoc 3.15 is needed");
        var output = Directory.CreateTempSubdirectory();
        try
        {
            foreach (var file in (string[])["skein/v1/inference.proto", "skein/v1/admin.proto", "grpc/health/v1/health.proto"])
                Assert.Equal((0, ""), await RunAsync("-m", "grpc_tools.protoc", $"-I{Protos()}", $"--python_out={output}", $"--grpc_python_out={output}", file));
        }
        finally
        {
            output.Delete(recursive: true);
        }

        static string Protos([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../../../proto"));
    }

    private static void AssertHasInference(IReadOnlyList<ByteString> files)
    {
        var names = files.Select(file => FileDescriptorProto.Parser.ParseFrom(file)).SelectMany(file => file.Service.Select(service => $"{file.Package}.{service.Name}"));
        Assert.Contains("skein.v1.Inference", names);
    }

    private static async Task<(int ExitCode, string Output)> RunAsync(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(Python, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).Within();
        return (process.ExitCode, output + await error);
    }
}
