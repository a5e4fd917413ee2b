"""Losses, gradients and a short run of AdamW as PyTorch computes them, for the tests of hydra-train.

Writes fixtures/train/golden.safetensors. Needs torch, transformers and safetensors.
"""

import pathlib

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "fixtures/models/bert-classifier"
STEPS, WARM_UP, RATE, DECAY, CLIP = 6, 2, 1e-3, 0.05, 0.5


def losses(out):
    torch.manual_seed(7)
    logits = torch.randn(7, 3, requires_grad=True)
    labels = torch.tensor([0, 2, 1, 1, 0, 2, 2])
    weights = torch.tensor([0.5, 2.0, 1.25])
    loss = torch.nn.functional.cross_entropy(logits, labels, weight=weights)
    loss.backward()
    out |= {"cross_entropy.logits": logits.detach(), "cross_entropy.labels": labels.float(),
            "cross_entropy.loss": loss.detach().reshape(1), "cross_entropy.gradient": logits.grad}

    scores = torch.randn(9, 1, requires_grad=True)
    labels = torch.tensor([1.0, 0, 0, 0.5, 0.5, 2.0, 0, 1.0, 1.0])
    groups = [(0, 3), (3, 7), (7, 9)]
    means = []
    for start, end in groups:
        pairs = [torch.nn.functional.softplus(scores[j, 0] - scores[i, 0])
                 for i in range(start, end) for j in range(start, end) if labels[i] > labels[j]]
        if pairs:
            means.append(torch.stack(pairs).mean())
    loss = torch.stack(means).mean()
    loss.backward()
    out |= {"pairwise.logits": scores.detach().clone(), "pairwise.labels": labels,
            "pairwise.loss": loss.detach().reshape(1), "pairwise.gradient": scores.grad.clone()}

    scores.grad = None
    loss = torch.stack([
        torch.nn.functional.cross_entropy(scores[start:end, 0], labels[start:end] / labels[start:end].sum())
        for start, end in groups
    ]).mean()
    loss.backward()
    out |= {"listwise.logits": scores.detach().clone(), "listwise.labels": labels.clone(),
            "listwise.loss": loss.detach().reshape(1), "listwise.gradient": scores.grad.clone()}


def training(out):
    """All rows in every step, so that their order does not matter."""
    model = AutoModelForSequenceClassification.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager").eval()
    batch = load_file(MODEL / "golden.safetensors")
    labels = torch.tensor([0, 1, 2, 1])
    no_decay = lambda name: name.endswith(".bias") or "LayerNorm" in name
    groups = [
        {"params": [p for n, p in model.named_parameters() if not no_decay(n)], "weight_decay": DECAY},
        {"params": [p for n, p in model.named_parameters() if no_decay(n)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    # Rows as hydra-train takes them: no padding in front. Row 3 of the golden batch is padded there.
    ids, mask, types = (batch[name].clone() for name in ("input_ids", "attention_mask", "token_type_ids"))
    for row in range(4):
        keep = mask[row].bool()
        for tensor, fill in ((ids, 0), (types, 0), (mask, 0)):
            tokens = tensor[row][keep]
            tensor[row] = fill
            tensor[row][: len(tokens)] = tokens
    values = []
    for step in range(1, STEPS + 1):
        share = step / WARM_UP if step < WARM_UP else 1 - (step - WARM_UP) / (STEPS + 1 - WARM_UP)
        for group in optimizer.param_groups:
            group["lr"] = RATE * share
        logits = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
        loss = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        values.append(loss.item())
    out |= {"run.ids": ids, "run.mask": mask, "run.types": types, "run.labels": labels.float(), "run.losses": torch.tensor(values)}
    keep = ["bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.attention.self.query.weight",
            "bert.encoder.layer.1.output.LayerNorm.weight", "bert.pooler.dense.bias", "classifier.weight"]
    state = model.state_dict()
    out |= {f"run.{name}": state[name].detach().contiguous() for name in keep}


if __name__ == "__main__":
    out = {}
    losses(out)
    training(out)
    (ROOT / "fixtures/train").mkdir(exist_ok=True)
    save_file(out, ROOT / "fixtures/train/golden.safetensors")
