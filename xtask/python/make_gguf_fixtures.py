"""Makes fixtures/gguf: every tensor type with what the package `gguf` reads from it, and two tiny models with what
transformers computes.

    python xtask/python/make_gguf_fixtures.py

Needs torch, transformers, numpy, safetensors and gguf 0.19.
"""

from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from safetensors.numpy import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "gguf"
RANDOM = np.random.default_rng(20_240_613)


def quants():
    """K-quants have no quantiser in Python: their blocks are random bytes, with half-precision scales put in place."""
    scales = {Q.Q2_K: (80, 82), Q.Q3_K: (108,), Q.Q4_K: (0, 2), Q.Q5_K: (0, 2), Q.Q6_K: (208,)}
    golden = {}
    writer = gguf.GGUFWriter(OUT / "quants.gguf", "none")
    for kind in (Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, *scales):
        if kind in scales:
            size = gguf.GGML_QUANT_SIZES[kind][1]
            data = RANDOM.integers(0, 256, (2, 2, size), dtype=np.uint8)
            for at in scales[kind]:
                half = RANDOM.uniform(-0.1, 0.1, (2, 2)).astype(np.float16)
                data[:, :, at : at + 2] = half.view(np.uint8).reshape(2, 2, 2)
            data = data.reshape(2, 2 * size)
        else:
            numbers = RANDOM.standard_normal((2, 512)).astype(np.float32)
            data = gguf.quants.quantize(numbers, kind)
        golden[kind.name] = np.ascontiguousarray(gguf.quants.dequantize(data, kind), dtype=np.float32)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
    finish(writer)
    save_file(golden, OUT / "quants.safetensors")


def byte_alphabet():
    """The characters that byte-level BPE writes bytes as, in the order of the bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    table = {byte: chr(byte) for byte in shown} | {byte: chr(256 + at) for at, byte in enumerate(hidden)}
    return [table[byte] for byte in range(256)]


SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "i n", "Ġ a"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SIZES = dict(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    rms_norm_eps=1e-5,
    rope_theta=10_000.0,
    tie_word_embeddings=True,
)


def permuted(weight, heads):
    """Rows of queries and keys in the order of interleaved rotation, as files of the llama architecture have them."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def model(name):
    tokens = SPECIAL + byte_alphabet() + [merge.replace(" ", "") for merge in MERGES]
    torch.manual_seed(7)
    kind, config = (LlamaForCausalLM, LlamaConfig) if name == "llama" else (Qwen2ForCausalLM, Qwen2Config)
    torch_model = kind(config(vocab_size=len(tokens), **SIZES)).eval()
    writer = gguf.GGUFWriter(OUT / f"tiny-{name}.gguf", name)
    writer.add_name(f"tiny {name}")
    writer.add_block_count(2)
    writer.add_context_length(256)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm" if name == "llama" else "qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    names = {
        "input_layernorm.weight": "attn_norm.weight",
        "post_attention_layernorm.weight": "ffn_norm.weight",
        "mlp.gate_proj.weight": "ffn_gate.weight",
        "mlp.up_proj.weight": "ffn_up.weight",
        "mlp.down_proj.weight": "ffn_down.weight",
        "self_attn.o_proj.weight": "attn_output.weight",
        **{f"self_attn.{a}_proj.{b}": f"attn_{a}.{b}" for a in "qkv" for b in ("weight", "bias")},
    }
    state = torch_model.state_dict()
    for key, tensor in state.items():
        if key == "lm_head.weight":
            continue
        # Larger than what models begin with, so that an error shows.
        weight = (RANDOM.standard_normal(tuple(tensor.shape)) * (0.25 if tensor.ndim == 2 else 0.5)).astype(np.float32)
        if "norm" in key:
            weight = 1 + 0.2 * weight
        if tensor.ndim == 2:
            data = gguf.quants.quantize(weight, Q.Q8_0)
            weight = gguf.quants.dequantize(data, Q.Q8_0)
        tensor.copy_(torch.from_numpy(weight.astype(np.float32)))
        if key.startswith("model.layers."):
            _, _, layer, part = key.split(".", 3)
            target = f"blk.{layer}.{names[part]}"
        else:
            target = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}[key]
        if name == "llama" and (".attn_q." in target or ".attn_k." in target):
            weight = permuted(weight, 4 if ".attn_q." in target else 2)
        kind = Q.Q8_0 if tensor.ndim == 2 else Q.F32
        writer.add_tensor(target, gguf.quants.quantize(weight.astype(np.float32), kind), raw_dtype=kind)
    finish(writer)
    ids = torch.from_numpy(RANDOM.integers(3, len(tokens), (1, 24)))
    with torch.no_grad():
        logits = torch_model(ids).logits[0]
        greedy = ids
        for _ in range(16):
            greedy = torch.cat([greedy, torch_model(greedy).logits[:, -1:].argmax(-1)], 1)
    save_file(
        {"tokens": ids[0].numpy(), "logits": logits.numpy(), "greedy": greedy[0, 24:].numpy()},
        OUT / f"tiny-{name}.safetensors",
    )


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    quants()
    model("llama")
    model("qwen2")
