"""Makes fixtures/models: tiny, randomly initialised models of every family that hydra-export knows, with golden outputs.

Needs torch, transformers, tokenizers and safetensors; used only to make fixtures, never by a build or a test.

    python xtask/python/make_tiny_models.py fixtures/models

Each folder has config.json, tokenizer.json, the weights, and golden.safetensors: the inputs and what PyTorch made of them.
Every parameter is drawn anew with a spread at which a wrong term is far above rounding, padding rows and layer-norm
gains included: the library's own initialisation leaves biases at zero and gains at one, where errors would hide.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

# Words of the gate's sentences, so that the gate's tokens are real ones; the others become the unknown token.
WORDS = """a the one every and because . , old small bright quiet red heavy young broken famous cold teacher river engine painter
doctor bridge garden letter farmer clock boat mountain window song dog market repaired painted followed sold watched
carried found praised crossed opened near harbour before storm in winter without word after dinner for friend""".split()
HIDDEN = 32
N_LAYERS = 2
N_HEADS = 4
INTERMEDIATE = 48
GATHERS = ["value", "v_lin", "attn.v", "attention.output.dense", "out_lin", "attn.o"]
SEQ = 11
# The last row is padded on the left: positions and masks must not assume that padding comes last.
REAL = [(0, 11), (0, 7), (0, 2), (3, 11)]


def tokenizer(style):
    if style == "bert":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        cls, sep, unk = "[CLS]", "[SEP]", "[UNK]"
        pair = "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
    else:
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        cls, sep, unk = "<s>", "</s>", "<unk>"
        pair = "<s>:0 $A:0 </s>:0 </s>:0 $B:0 </s>:0"
    vocab = {word: index for index, word in enumerate(special + WORDS)}
    out = Tokenizer(models.WordLevel(vocab, unk_token=unk))
    out.normalizer = normalizers.Lowercase()
    out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    out.add_special_tokens(special)
    out.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", pair=pair, special_tokens=[(cls, vocab[cls]), (sep, vocab[sep])]
    )
    return out


def config(family, **more):
    vocab_size = 5 + len(WORDS)
    common = dict(
        vocab_size=vocab_size,
        hidden_size=HIDDEN,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=N_HEADS,
        intermediate_size=INTERMEDIATE,
        **more,
    )
    match family:
        case "bert":
            return transformers.BertConfig(max_position_embeddings=64, pad_token_id=0, **common)
        case "roberta":
            return transformers.RobertaConfig(max_position_embeddings=66, pad_token_id=1, type_vocab_size=1, layer_norm_eps=1e-5, **common)
        case "xlm-roberta":
            return transformers.XLMRobertaConfig(max_position_embeddings=66, pad_token_id=1, type_vocab_size=1, layer_norm_eps=1e-5, **common)
        case "mpnet":
            return transformers.MPNetConfig(max_position_embeddings=66, pad_token_id=1, layer_norm_eps=1e-5, **common)
        case "distilbert":
            return transformers.DistilBertConfig(
                vocab_size=vocab_size,
                max_position_embeddings=64,
                pad_token_id=0,
                dim=HIDDEN,
                n_layers=N_LAYERS,
                n_heads=N_HEADS,
                hidden_dim=INTERMEDIATE,
                **more,
            )


def draw(model, seed, dtype):
    """Draws every parameter and rounds it to `dtype`, so that the file and the golden run hold the same numbers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if "LayerNorm.weight" in name or "layer_norm.weight" in name:
                value = 1 + 0.2 * noise
            elif name.endswith("bias"):
                value = 0.2 * noise
            elif "embeddings" in name:
                value = 0.7 * noise
            else:
                # What attention gathers outweighs the token itself: a classifier sees the text only through it.
                gathers = any(part in name for part in GATHERS)
                value = (2.0 if gathers else 0.7) * noise / parameter.shape[-1] ** 0.5
            parameter.copy_(value.to(dtype).float())


def golden(model, style, has_types, seed):
    generator = torch.Generator().manual_seed(seed)
    pad, cls, sep = (0, 2, 3) if style == "bert" else (1, 0, 2)
    ids = torch.randint(5, 5 + len(WORDS), (len(REAL), SEQ), generator=generator)
    mask = torch.zeros_like(ids)
    types = torch.zeros_like(ids)
    for row, (start, end) in enumerate(REAL):
        mask[row, start:end] = 1
        ids[row, start], ids[row, end - 1] = cls, sep
        types[row, (start + end) // 2 : end] = 1
    ids = torch.where(mask == 1, ids, pad)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if has_types:
        inputs["token_type_ids"] = types
    with torch.no_grad():
        outputs = model(**inputs)
    name = "logits" if "logits" in outputs else "last_hidden_state"
    return inputs | {name: outputs[name].contiguous()}


def make(root, family, architecture, seed, dtype=torch.float32, shard=None, **more):
    classifier = architecture.endswith("ForSequenceClassification")
    folder = root / (family + ("-classifier" if classifier else ""))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    style = "bert" if family in ("bert", "distilbert") else "roberta"
    settings = config(family, attn_implementation="eager", **more)
    model = getattr(transformers, architecture)(settings).eval()
    draw(model, seed, dtype)
    tensors = golden(model, style, family == "bert", seed + 1)
    if family == "mpnet" and not classifier:
        # All distances at which a bucket could begin, for the relative positions alone.
        distances = torch.arange(-140, 141)
        tensors["distances"] = distances
        tensors["buckets"] = MPNetEncoder.relative_position_bucket(distances, num_buckets=32)
    save_file(tensors, folder / "golden.safetensors")
    model.to(dtype).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    text = json.loads((folder / "config.json").read_text())
    text.pop("transformers_version", None)
    (folder / "config.json").write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
    tokenizer(style).save(str(folder / "tokenizer.json"), pretty=False)


def main():
    root = Path(sys.argv[1])
    make(root, "bert", "BertModel", 1)
    make(root, "bert", "BertForSequenceClassification", 2, torch.float16, num_labels=3)
    make(root, "roberta", "RobertaModel", 3, torch.bfloat16)
    make(root, "roberta", "RobertaForSequenceClassification", 4, torch.float16, num_labels=1)
    make(root, "xlm-roberta", "XLMRobertaForSequenceClassification", 5, torch.float16, num_labels=1)
    make(root, "distilbert", "DistilBertModel", 6, shard="40KB")
    make(root, "distilbert", "DistilBertForSequenceClassification", 27, torch.float16, num_labels=2, activation="relu")
    make(root, "mpnet", "MPNetModel", 8)
    make(root, "mpnet", "MPNetForSequenceClassification", 9, torch.float16, num_labels=2)


if __name__ == "__main__":
    main()
