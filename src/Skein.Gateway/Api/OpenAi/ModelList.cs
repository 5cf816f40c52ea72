using System.Buffers;
using Microsoft.AspNetCore.Http;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Answers;

namespace Skein.Gateway.Api.OpenAi;

/// <summary><c>GET /v1/models</c>.</summary>
internal sealed class ModelsEndpoint(IModelCatalog catalog)
{
    public async Task AnswerAsync(HttpContext http)
    {
        var body = Write(catalog.List());
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.WrittenCount;
        await http.Response.BodyWriter.WriteAsync(body.WrittenMemory, http.RequestAborted);
    }

    private static ArrayBufferWriter<byte> Write(IReadOnlyList<ServedModel> models)
    {
        var body = new ArrayBufferWriter<byte>(1024);
        var json = new JsonSink(body);
        json.Raw("{\"object\":\"list\",\"data\":["u8);
        for (var i = 0; i < models.Count; i++)
        {
            json.Raw(i == 0 ? "{\"id\":"u8 : ",{\"id\":"u8);
            json.Text(models[i].Description.Name);
            json.Raw(",\"object\":\"model\",\"created\":"u8);
            json.Number(models[i].FirstSeen.ToUnixTimeSeconds());
            json.Raw(",\"owned_by\":\"skein\"}"u8);
        }

        json.Raw("]}"u8);
        json.Complete();
        return body;
    }
}
