"""Makes the folders under fixtures/bundles: real bundles of a few kilobytes, and what they should answer.

Needs numpy, onnx and tokenizers; used only to make fixtures, never by a build or a test.

    python xtask/python/make_tiny_bundle.py fixtures/bundles

Each bundle is one attention layer with random weights. The expected features in `golden.json` are computed here with
numpy, from token ids of the reference tokenizer, one text at a time and without padding. Fingerprint and checksum are
computed here too, from the words of the documentation of `hydra-onnx`, so that they judge the Rust code.
"""

import hashlib
import json
import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "fixtures/bundles")
HIDDEN, CLASSES, MAX_TOKENS = 8, 3, 24
WORDS = "man woman is eating food playing guitar cat dog sleeps query answer".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEXTS = [
    "a man is eating food",
    "",
    "the cat sleeps",
    "A woman is playing the guitar\u0000 while\tthe dog sleeps",
    "zebra",
    "naïve 猫 \u0007 \ufffd",
]
PAIRS = [
    ["query", "a man is eating food"],
    ["is the cat eating", ""],
    ["", "dog"],
    ["answer", "the answer is food"],
]


def tokenizer():
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *LETTERS, *("##" + c for c in LETTERS)]
    t = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return t, len(vocabulary)


class Layer:
    def __init__(self, seed, vocabulary):
        rng = np.random.default_rng(seed)
        make = lambda *shape: rng.normal(0, 0.7, shape).astype(np.float32)
        self.weights = {
            "words": make(vocabulary, HIDDEN),
            "types": make(2, HIDDEN),
            "positions": make(MAX_TOKENS, HIDDEN),
            "query": make(HIDDEN, HIDDEN),
            "out": make(HIDDEN, HIDDEN),
            "bias": make(HIDDEN),
            "classes": make(HIDDEN, CLASSES),
        }

    def forward(self, ids, types, positions):
        w = {k: v.astype(np.float64) for k, v in self.weights.items()}
        x = w["words"][ids] + w["types"][types]
        if positions:
            x = x + w["positions"][: len(ids)]
        scores = (x @ w["query"]) @ x.T / np.sqrt(HIDDEN)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        states = np.tanh((scores / scores.sum(-1, keepdims=True)) @ x @ w["out"] + w["bias"])
        return states, states[0] @ w["classes"]

    def graph(self, positions, classifier):
        names = ["input_ids", "attention_mask", "token_type_ids"] + ["position_ids"] * positions
        inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "seq"]) for n in names]
        node = lambda op, ins, out, **kw: helper.make_node(op, ins, [out], name=out, **kw)
        nodes = [
            node("Gather", ["words", "input_ids"], "w"),
            node("Gather", ["types", "token_type_ids"], "t"),
            node("Add", ["w", "t"], "wt"),
            *([node("Gather", ["positions", "position_ids"], "p"), node("Add", ["wt", "p"], "x")] if positions
              else [node("Identity", ["wt"], "x")]),
            node("MatMul", ["x", "query"], "q"),
            node("Transpose", ["x"], "k", perm=[0, 2, 1]),
            node("MatMul", ["q", "k"], "qk"),
            node("Div", ["qk", "scale"], "scaled"),
            node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT),
            node("Sub", ["one", "mask"], "absent"),
            node("Mul", ["absent", "far"], "bias2"),
            node("Unsqueeze", ["bias2", "axis"], "bias3"),
            node("Add", ["scaled", "bias3"], "masked"),
            node("Softmax", ["masked"], "weights", axis=-1),
            node("MatMul", ["weights", "x"], "mixed"),
            node("MatMul", ["mixed", "out"], "projected"),
            node("Add", ["projected", "bias"], "biased"),
            node("Tanh", ["biased"], "last_hidden_state"),
        ]
        output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "seq", HIDDEN])
        if classifier:
            nodes += [
                node("Gather", ["last_hidden_state", "zero"], "first", axis=1),
                node("MatMul", ["first", "classes"], "logits"),
            ]
            output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
        used = {i for n in nodes for i in n.input}
        constants = {
            "scale": np.float32(np.sqrt(HIDDEN)), "one": np.float32(1), "far": np.float32(-1e4),
            "axis": np.array([1]), "zero": np.array(0),
        }
        tensors = {k: v for k, v in {**self.weights, **constants}.items() if k in used}
        initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()]
        graph = helper.make_graph(nodes, "tiny", inputs, [output], initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model.producer_name = ""
        return model


def field(data):
    return len(data).to_bytes(8, "little") + data


def fingerprint(kind, pooling, normalize, files):
    sha = lambda name: bytes.fromhex(files[name]["sha256"])
    parts = [b"hydra-onnx body fingerprint, version 1", kind.encode(), sha("model.onnx")]
    for name in sorted(set(files) - {"model.onnx", "tokenizer.json"}):
        parts += [name.encode(), sha(name)]
    parts += [sha("tokenizer.json"), pooling.encode(), b"normalized" if normalize else b"as is"]
    parts += [MAX_TOKENS.to_bytes(8, "little")]
    return hashlib.sha256(b"".join(map(field, parts))).hexdigest()


def specs(values):
    types = {TensorProto.FLOAT: "f32", TensorProto.INT64: "i64"}
    dim = lambda d: d.dim_param or d.dim_value
    return [
        {"name": v.name, "type": types[v.type.tensor_type.elem_type],
         "shape": [dim(d) for d in v.type.tensor_type.shape.dim]}
        for v in values
    ]


def save(name, seed, *, kind="encoder", pooling="mean", normalize=True, positions=False, external=False):
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reference, size = tokenizer()
    layer = Layer(seed, size)
    model = layer.graph(positions, kind == "cross-encoder")
    location = "model.onnx.data"
    if external:
        onnx.save(model, folder / "model.onnx", save_as_external_data=True, location=location, size_threshold=64)
    else:
        onnx.save(model, folder / "model.onnx")
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    baked, _ = tokenizer()
    baked.enable_padding(length=6)
    baked.enable_truncation(6)
    baked.save(str(folder / "tokenizer.json"), pretty=False)
    files = {}
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        files[path.name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    body = {
        "kind": kind,
        "fingerprint": fingerprint(kind, pooling, normalize, files),
        "precision": "fp32",
        "pooling": pooling,
        "normalize": normalize,
        "max_tokens": MAX_TOKENS,
        "opset": 17,
        "inputs": specs(model.graph.input),
        "outputs": specs(model.graph.output),
        "files": files,
        "parity": {
            "reference": "numpy in xtask/python/make_tiny_bundle.py",
            "cases": f"{len(TEXTS)} texts",
            "measures": [{"name": "max_abs_difference", "value": 0.0, "bound": {"at_most": 0.0001}}],
        },
    }
    compact = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    manifest = {"format": 1, "checksum": hashlib.sha256(compact).hexdigest(), "body": body}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", newline="\n")

    def answer(encoding):
        states, logits = layer.forward(encoding.ids, encoding.type_ids, positions)
        if kind == "cross-encoder":
            out = logits
        else:
            out = states.mean(0) if pooling == "mean" else states[0]
            if normalize:
                out = out / np.linalg.norm(out)
        return {"ids": encoding.ids, "types": encoding.type_ids, "out": [round(float(x), 7) for x in out]}

    return {
        "texts": [{"text": t, **answer(reference.encode(t))} for t in TEXTS],
        "pairs": [{"pair": p, **answer(reference.encode(*p))} for p in PAIRS],
    }


golden = {
    "tiny-encoder": save("tiny-encoder", 1),
    "tiny-external": save("tiny-external", 2, pooling="cls", normalize=False, positions=True, external=True),
    "tiny-cross": save("tiny-cross", 3, kind="cross-encoder", pooling="none", normalize=False),
}
(ROOT / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", newline="\n")
