"""Makes fixtures/heads/: forward and gradient of every head kind, and AdamW, as PyTorch computes them.

Run by hand when a kind is added: `python xtask/python/make_head_goldens.py`. Needs torch. All inputs come from a
generator of a few lines that the test repeats, so the files hold only shapes and results.

golden.bin: cases one after another; each five bytes (kind, hidden, inner, rank, batch), then as little-endian f32 the
log-odds [batch], the summed log-loss, and its gradient by the parameters in the order in which `Weights::parameters`
gives them. Kinds: 0 two-layer, 1 linear, 2 low-rank, 3 routing. Case number i takes seed i.

adamw.bin: cases one after another; each five bytes (hidden, inner, rows, steps, 0), then the parameters of a two-layer
head after so many full-batch steps of torch.optim.AdamW with learning rate 0.01 and weight decay 0.1.
"""

import pathlib
import struct

import torch

MASK = (1 << 64) - 1
OUT = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "heads"


class Numbers:
    """The generator of the test: a 64-bit linear congruence, its upper 16 bits as a number from -1 to 1."""

    def __init__(self, seed):
        self.state = seed ^ 0x9E3779B97F4A7C15

    def bits(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & MASK
        return self.state >> 48

    def tensor(self, *shape):
        count = 1
        for size in shape:
            count *= size
        numbers = [self.bits() / 32768.0 - 1.0 for _ in range(count)]
        return torch.tensor(numbers, dtype=torch.float64).reshape(shape)


def two_layer(z, w1, b1, w2, b2):
    logits = torch.nn.functional.linear(torch.tanh(torch.nn.functional.linear(z, w1, b1)), w2, b2)
    return logits[:, 1] - logits[:, 0]


def blocks(kind, hidden, inner, rank):
    return {
        0: [(inner, hidden), (inner,), (2, inner), (2,)],
        1: [(hidden,), (1,)],
        2: [(rank, hidden), (rank, inner), (inner,), (1,)],
        3: [(rank,)],
    }[kind]


def case(seed, kind):
    numbers = Numbers(seed)
    hidden = 1 + numbers.bits() % 8
    inner = 1 + numbers.bits() % 6
    rank = 1 + numbers.bits() % 3
    batch = 1 + numbers.bits() % 5
    prior = [2.0 * numbers.tensor(*shape) for shape in blocks(0, hidden, inner, rank)]
    facets, facet_biases = numbers.tensor(rank, hidden), numbers.tensor(rank)
    own = [(2.0 * numbers.tensor(*shape)).requires_grad_() for shape in blocks(kind, hidden, inner, rank)]
    z = 2.0 * numbers.tensor(batch, hidden)
    labels = torch.tensor([numbers.bits() % 2 for _ in range(batch)])
    if kind == 0:
        odds = two_layer(z, *own)
    elif kind == 1:
        odds = two_layer(z, *prior) + z @ own[0] + own[1]
    elif kind == 2:
        w1, b1, w2, b2 = prior
        down, up, out, bias = own
        change = torch.stack([torch.zeros_like(out), out])
        odds = two_layer(z, w1 + up.T @ down, b1, w2 + change, b2) + bias
    else:
        odds = two_layer(z, *prior) + (z @ facets.T + facet_biases) @ own[0]
    # The two-class cross-entropy of the paper, on logits (0, odds).
    loss = torch.nn.functional.cross_entropy(torch.stack([torch.zeros_like(odds), odds], 1), labels, reduction="sum")
    loss.backward()
    gradient = torch.cat([block.grad.flatten() for block in own])
    results = torch.cat([odds.detach(), loss.detach().reshape(1), gradient]).tolist()
    return struct.pack("<5B", kind, hidden, inner, rank, batch) + struct.pack(f"<{len(results)}f", *results)


def adamw(seed):
    numbers = Numbers(seed)
    hidden = 1 + numbers.bits() % 6
    inner = 1 + numbers.bits() % 5
    rows = 2 + numbers.bits() % 10
    steps = 1 + numbers.bits() % 20
    own = [numbers.tensor(*shape).float().requires_grad_() for shape in blocks(0, hidden, inner, 0)]
    z = numbers.tensor(rows, hidden).float()
    labels = torch.tensor([numbers.bits() % 2 for _ in range(rows)])
    labels[0], labels[1] = 0, 1
    optimizer = torch.optim.AdamW(own, lr=0.01, weight_decay=0.1)
    w1, b1, w2, b2 = own
    for _ in range(steps):
        optimizer.zero_grad()
        logits = torch.nn.functional.linear(torch.tanh(torch.nn.functional.linear(z, w1, b1)), w2, b2)
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
    results = torch.cat([block.detach().flatten() for block in own]).tolist()
    return struct.pack("<5B", hidden, inner, rows, steps, 0) + struct.pack(f"<{len(results)}f", *results)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "golden.bin").write_bytes(b"".join(case(seed, seed % 4) for seed in range(3000)))
    (OUT / "adamw.bin").write_bytes(b"".join(adamw(seed) for seed in range(50)))


if __name__ == "__main__":
    main()
