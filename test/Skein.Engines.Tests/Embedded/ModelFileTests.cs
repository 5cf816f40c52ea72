using CsCheck;
using Skein.Engines.Embedded;

namespace Skein.Engines.Tests.Embedded;

public class ModelFileTests
{
    private static readonly byte[] File = RandomModel.Build().ToBytes();

    [Theory]
    [InlineData("general.architecture", "qwen2", "general.architecture is qwen2; allowed: llama")]
    [InlineData("tokenizer.ggml.model", "llama", "tokenizer.ggml.model is llama; allowed: gpt2 (byte-level BPE)")]
    [InlineData("tokenizer.ggml.pre", "llama-bpe", "tokenizer.ggml.pre is llama-bpe; allowed: gpt-2")]
    [InlineData("llama.rope.scaling.type", "yarn", "llama.rope.scaling.type is yarn; allowed: none")]
    [InlineData("llama.expert_count", "8", "llama.expert_count is given; allowed: the keys of plain Llama models")]
    [InlineData("llama.block_count", "4", "llama.block_count is of type String; allowed: a whole number")]
    public void Load_OtherText_NamesFileKeyValueAndWhatIsAllowed(string key, string value, string expected) =>
        AssertRefused(RandomModel.Build().Set(key, value).ToBytes(), expected);

    [Theory]
    [InlineData("llama.block_count", 0u, "llama.block_count is 0; allowed: 1 to 1024")]
    [InlineData("llama.block_count", 2u, "tensor blk.1.attn_norm.weight is missing; allowed: 1 rows of 16")]
    [InlineData("llama.attention.head_count_kv", 2u, "llama.attention.head_count_kv is 2; allowed: a divisor of llama.attention.head_count, 3")]
    [InlineData("llama.attention.key_length", 12u, "is 12; allowed: a multiple of 8")]
    [InlineData("llama.embedding_length", 4_000_000_000u, "llama.embedding_length is 4000000000; allowed: 1 to 16384")]
    [InlineData("llama.feed_forward_length", 20u, "tensor blk.0.ffn_gate.weight is 21 rows of 16; allowed: 20 rows of 16")]
    [InlineData("tokenizer.ggml.eos_token_id", 258u, "tokenizer.ggml.eos_token_id is 258; allowed: 0 to 257")]
    [InlineData("general.alignment", 0u, "general.alignment is 0; allowed: 1 to 1048576")]
    public void Load_OtherNumber_NamesFileKeyValueAndWhatIsAllowed(string key, uint value, string expected) =>
        AssertRefused(RandomModel.Build().Set(key, value).ToBytes(), expected);

    [Theory]
    [InlineData("general.architecture", "general.architecture is missing; allowed: a text")]
    [InlineData("llama.context_length", "llama.context_length is missing; allowed: 2 to 2147483647")]
    [InlineData("tokenizer.ggml.merges", "tokenizer.ggml.merges is missing; allowed: a list of texts")]
    [InlineData("blk.0.ffn_up.weight", "tensor blk.0.ffn_up.weight is missing; allowed: 21 rows of 16")]
    public void Load_Missing_NamesIt(string key, string expected) => AssertRefused(RandomModel.Build().Remove(key).ToBytes(), expected);

    [Fact]
    public void Load_WrongTensor_NamesIt()
    {
        AssertRefused(RandomModel.Build().Tensor("output_norm.weight", 2, new byte[64], 16).ToBytes(), "tensor output_norm.weight is of type 2; allowed: types 0 (F32) and 1 (F16)");
        AssertRefused(RandomModel.Build().Tensor("rope_freqs.weight", new float[4], false, 4).ToBytes(), "tensor rope_freqs.weight is given");
        AssertRefused(RandomModel.Build().Tensor("output_norm.weight", [.. Enumerable.Repeat(float.NaN, 16)], false, 16).ToBytes(), "tensor output_norm.weight is NaN at 0");
        AssertRefused(RandomModel.Build().Tensor("output_norm.weight", 0, new byte[64], int.MaxValue, int.MaxValue).ToBytes(), "allowed: 1 to 268435456 numbers");
    }

    [Fact]
    public void Load_WrongVocabulary_NamesIt()
    {
        AssertRefused(RandomModel.Build().Set("tokenizer.ggml.merges", ["a b"]).ToBytes(), "tokenizer.ggml.merges[0] is a b");
        AssertRefused(RandomModel.Build().Set("tokenizer.ggml.token_type", [1]).ToBytes(), "tokenizer.ggml.token_type is 1 types; allowed: 258");
        AssertRefused(RandomModel.Build().Set("tokenizer.ggml.tokens", [.. Enumerable.Range(0, 258).Select(i => $"{i}")]).ToBytes(), "without a token for byte 0x00");
    }

    [Fact]
    public void Load_NoGguf_SaysSo()
    {
        AssertRefused([], "magic is cut off");
        AssertRefused("PK\u0003\u0004 not a model"u8.ToArray(), "magic is 0x04034b50; allowed: 0x46554747 (\"GGUF\")");
        AssertRefused(new GgufBuilder { Version = 1 }.ToBytes(), "version is 1; allowed: 2 or 3, little-endian");

        var missing = Path.Combine(AppContext.BaseDirectory, "missing.gguf");
        var exception = Assert.Throws<ModelFileException>(() => EmbeddedEngineFactory.Load(new EmbeddedEngineOptions { ModelFile = missing }, TimeProvider.System));
        Assert.StartsWith(missing + ": the file is not readable", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_HostileName_IsShownShortAndWithoutControlCharacters()
    {
        var exception = AssertRefused(RandomModel.Build().Set("general.architecture", "\u001b[2J\n" + new string('x', 10_000)).ToBytes(), "general.architecture is ");

        Assert.True(exception.Message.Length < 200);
        Assert.DoesNotContain(exception.Message, char.IsControl);
    }

    [Theory]
    [InlineData(2u, true, false)]
    [InlineData(3u, false, true)]
    public async Task Load_AllowedVariants_Serve(uint version, bool isHalf, bool isTied)
    {
        await using var engine = Loaded.Engine(RandomModel.Build(isHalf, hasBias: !isHalf, isTied, version));

        Assert.NotEmpty((await Transcript.Of(engine, new() { Text = "a", MaxTokens = 20 })).Tokens);
    }

    [Fact]
    public void Open_CutAtAnyByte_IsRefused()
    {
        for (var length = 0; length < File.Length; length += length < 2_000 ? 1 : 37)
        {
            AssertRefused(File[..length], "");
        }
    }

    [Fact]
    public void Open_AnyBytesChanged_LoadsOrIsRefused()
    {
        var edit = Gen.Select(Gen.Int[0, 7_000], Gen.OneOf(Gen.Byte, Gen.Const<byte>(0), Gen.Const<byte>(255)));
        edit.Array[1, 8].Sample(edits =>
        {
            var mutated = (byte[])File.Clone();
            foreach (var (place, value) in edits)
            {
                mutated[place] = value;
            }

            if (Record.Exception(() => Loaded.Model(mutated)) is { } exception)
            {
                Assert.IsType<ModelFileException>(exception);
            }
        }, iter: 3_000);
    }

    private static ModelFileException AssertRefused(byte[] file, string expected)
    {
        var exception = Assert.Throws<ModelFileException>(() => Loaded.Model(file));
        Assert.StartsWith("test: ", exception.Message, StringComparison.Ordinal);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        return exception;
    }
}
