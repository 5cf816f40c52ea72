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

    /// <summary>The same with classes that protoc made, in the folder of the second argument. Fields that are zero differ from absent ones.</summary>
    private const string CompiledClient = """
        import sys, grpc
        sys.path.insert(0, sys.argv[2])
        from skein.v1 import inference_pb2 as messages, inference_pb2_grpc as calls

        service = calls.InferenceStub(grpc.insecure_channel(sys.argv[1]))
        described = service.Describe(messages.DescribeRequest())
        zero, absent = messages.GenerateRequest(max_tokens=0), messages.GenerateRequest()
        print(described.engine, described.load.slots, zero.HasField("max_tokens"), absent.HasField("max_tokens"))
        print(b"".join(frame.text for frame in service.Generate(messages.GenerateRequest(model="tiny", text="hi", max_tokens=2))).decode())
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

    /// <summary>Clients without reflection compile the proto files, by the commands of the documentation: also with the protoc 3.5.1 of Debian 12.</summary>
    [Fact]
    public async Task ProtoFiles_CompiledWithPythonsTools_DescribeAndGenerate()
    {
        Assert.SkipUnless(
            File.Exists(Python) && (await RunAsync("-c", "import grpc, grpc_tools.protoc")).ExitCode == 0,
            "python3-grpc-tools is not installed: apt-get install python3-grpc-tools python3-grpcio");
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("Once", " upon"));
            session.End();
        });
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            foreach (var file in Directory.GetFiles(Path.Combine(Root(), "proto"), "*.proto", SearchOption.AllDirectories))
            {
                var copy = Path.Combine(folder.FullName, Path.GetRelativePath(Root(), file));
                Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
                File.Copy(file, copy);
            }
            var commands = (await File.ReadAllLinesAsync(Path.Combine(Root(), "docs/reference/api.md"), TestContext.Current.CancellationToken))
                .SkipWhile(line => !line.StartsWith("sed -E -i ", StringComparison.Ordinal)).TakeWhile(line => line != "```");
            var compile = string.Join(" && ", commands).Replace("python3", Python, StringComparison.Ordinal);
            Assert.Equal((0, ""), await RunProgramAsync("sh", "-c", $"cd '{folder}' && {compile}"));

            var (exitCode, output) = await RunAsync("-c", CompiledClient, gateway.Http2.Authority, folder.FullName);

            Assert.Equal("gateway 8 True False\nOnce upon\n", output);
            Assert.Equal(0, exitCode);
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        static string Root([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../../.."));
    }

    private static void AssertHasInference(IReadOnlyList<ByteString> files)
    {
        var names = files.Select(file => FileDescriptorProto.Parser.ParseFrom(file)).SelectMany(file => file.Service.Select(service => $"{file.Package}.{service.Name}"));
        Assert.Contains("skein.v1.Inference", names);
    }

    private static Task<(int ExitCode, string Output)> RunAsync(params string[] arguments) => RunProgramAsync(Python, arguments);

    private static async Task<(int ExitCode, string Output)> RunProgramAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).Within();
        return (process.ExitCode, output + await error);
    }
}
