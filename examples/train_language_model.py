"""Trains a small language model twice, with full and with top-k attention, and compares the losses.

    pip install ".[torch,plot]"
    python3 examples/train_language_model.py --plot loss.png
    python3 examples/train_language_model.py --steps 100 --k 8      # a quick look at a small k

The model reads bytes: a causal transformer of a few layers that predicts the next byte of Python's own standard
library, which every installation has. Both models start from the same weights and see the same batches in the same
order. The one with full attention is made of torch's nn.MultiheadAttention, the other of TopKAttention, which loads the
first one's state dict. The validation loss is on files that training never sees. Ctrl-C stops and
reports what there is.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

    from top_k_attention import TopKAttention
except ImportError as missing:
    sys.exit(
        f'error: this example needs torch and the package of this repository ({missing}): pip install ".[torch,plot]"'
    )

BYTES = 256
VALIDATION_SHARE = 20  # one file in so many is kept for validation


class Block(nn.Module):
    """A transformer layer: attention, then feed-forward, each behind a norm and beside a residual."""

    def __init__(self, width: int, heads: int, k: int | None) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        if k is None:
            self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        else:
            self.attention = TopKAttention(width, heads, k=k, causal=True)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, causal_mask: Tensor) -> Tensor:
        y = self.norm1(x)
        if isinstance(self.attention, TopKAttention):
            x = x + self.attention(y)
        else:
            x = x + self.attention(y, y, y, need_weights=False, attn_mask=causal_mask, is_causal=True)[0]
        return x + self.feed_forward(self.norm2(x))


def waves(tokens: int, width: int) -> Tensor:
    """[token, width]: sines and cosines of the position, which make neighbours easy to find (Vaswani et al., 2017)."""
    frequency = torch.exp(torch.arange(0, width, 2) * (-math.log(10000) / width))
    angle = torch.arange(tokens).unsqueeze(1) * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)[:, :width]


class LanguageModel(nn.Module):
    """Logits of the next byte after each of `context` bytes. k=None: full attention."""

    def __init__(self, width: int, layers: int, heads: int, context: int, k: int | None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(BYTES, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads, k) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, BYTES, bias=False)
        self.out.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=0.02)
        with torch.no_grad():
            self.position.weight.copy_(0.02 * waves(context, width))
        mask = nn.Transformer.generate_square_subsequent_mask(context)
        self.register_buffer("causal_mask", mask, persistent=False)

    def forward(self, text: Tensor) -> Tensor:
        x = self.embedding(text) + self.position.weight[: text.shape[1]]
        for block in self.blocks:
            x = block(x, self.causal_mask)
        return self.out(self.norm(x))

    def loss(self, batch: Tensor) -> Tensor:
        """Mean over the bytes of [row, context + 1], in nats."""
        logits = self(batch[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


@dataclass
class Curve:
    """What a training gave."""

    name: str
    losses: list[float] = field(default_factory=list)  # of each step
    validation: dict[int, float] = field(default_factory=dict)  # by step
    seconds: float = 0.0  # in steps, without validation
    mean_mass: float | None = None  # of the keys kept: their share of the full softmax
    interrupted: bool = False


def standard_library() -> tuple[Tensor, Tensor]:
    """The bytes of its modules, for training and for validation."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    paths = [path for path in sorted(folder.rglob("*.py")) if not {"site-packages", "test", "tests"} & {*path.parts}]
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    for number, path in enumerate(paths):
        parts[number % VALIDATION_SHARE == 0].append(path.read_bytes())
    training, validation = (torch.frombuffer(bytearray(b"".join(part)), dtype=torch.uint8) for part in parts)
    return training, validation


def batches(text: Tensor, rows: int, context: int, seed: int) -> Iterator[Tensor]:
    """Endless [row, context + 1] pieces from random places."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        starts = torch.randint(len(text) - context, (rows, 1), generator=generator)
        yield text[starts + torch.arange(context + 1)].long()


@torch.no_grad()
def validate(model: LanguageModel, text: Tensor, options: argparse.Namespace) -> float:
    """Mean loss on pieces that are the same each time."""
    model.eval()
    pieces = batches(text, options.batch, options.context, seed=0)
    losses = [model.loss(next(pieces)).item() for _ in range(options.validation_batches)]
    model.train()
    return sum(losses) / len(losses)


def learning_rate(step: int, options: argparse.Namespace) -> float:
    """Grows during the first tenth of the steps, then falls along a cosine to a tenth."""
    warm_up = max(1, options.steps // 10)
    if step < warm_up:
        return options.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(1, options.steps - warm_up)
    return options.learning_rate * (0.55 + 0.45 * math.cos(math.pi * done))


def train(model: LanguageModel, name: str, texts: tuple[Tensor, Tensor], options: argparse.Namespace) -> Curve:
    """Fills a curve; Ctrl-C ends it early."""
    curve = Curve(name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.95), weight_decay=0.1)
    training = batches(texts[0], options.batch, options.context, options.seed)
    try:
        for step in range(options.steps):
            started = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, options)
            loss = model.loss(next(training))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            curve.losses.append(loss.item())
            curve.seconds += time.perf_counter() - started
            done = step + 1
            if done % options.every == 0 or done == options.steps:
                curve.validation[done] = validate(model, texts[1], options)
                print(
                    f"{name}: step {done}/{options.steps}, loss {curve.losses[-1]:.3f}, "
                    f"validation {curve.validation[done]:.3f}, {curve.seconds / done:.3f} s per step",
                    flush=True,
                )
    except KeyboardInterrupt:
        curve.interrupted = True
        print(f"\n{name}: interrupted after {len(curve.losses)} steps", flush=True)
    layers = [block.attention for block in model.blocks if isinstance(block.attention, TopKAttention)]
    masses = [layer.get_memory_stats()["mean_mass"] for layer in layers]
    if masses and None not in masses:
        curve.mean_mass = sum(masses) / len(masses)
    return curve


def smoothed(losses: list[float], window: int) -> tuple[list[int], list[float]]:
    """Steps, and the mean loss of the `window` steps that end there."""
    sums = [0.0]
    for loss in losses:
        sums.append(sums[-1] + loss)
    steps = list(range(window, len(losses) + 1))
    return steps, [(sums[step] - sums[step - window]) / window for step in steps]


def draw(curves: list[Curve], title: str, path: Path) -> None:
    """Training losses as lines, validation losses as points."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for curve, color in zip(curves, ("tab:gray", "tab:blue"), strict=False):
        steps, losses = smoothed(curve.losses, max(1, len(curve.losses) // 50))
        axis.plot(steps, losses, color=color, alpha=0.5, linewidth=1, label=f"{curve.name}, training (moving mean)")
        if curve.validation:
            axis.plot(
                *zip(*curve.validation.items(), strict=True), "o-", color=color, label=f"{curve.name}, validation"
            )
    axis.set(xlabel="step", ylabel="loss, nats per byte", title=title)
    axis.title.set_fontsize("medium")
    axis.grid(alpha=0.3)
    axis.legend()
    temporary = path.with_suffix(f".tmp{path.suffix}")
    figure.savefig(temporary)
    temporary.replace(path)


def positive(text: str) -> int:
    """At least 1."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=positive, default=32, help="keys kept per query and head (default: %(default)s)")
    parser.add_argument("--steps", type=positive, default=1200, help="of each training (default: %(default)s)")
    parser.add_argument("--context", type=positive, default=512, help="bytes in a row (default: %(default)s)")
    parser.add_argument("--batch", type=positive, default=4, help="rows in a step (default: %(default)s)")
    parser.add_argument("--width", type=positive, default=128, help="of the model (default: %(default)s)")
    parser.add_argument("--layers", type=positive, default=3, help="default: %(default)s")
    parser.add_argument("--heads", type=positive, default=4, help="default: %(default)s")
    parser.add_argument("--learning_rate", type=float, default=3e-3, help="the largest (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of weights and batches (default: %(default)s)")
    parser.add_argument("--every", type=positive, default=100, help="steps between validations (default: %(default)s)")
    parser.add_argument("--validation_batches", type=positive, default=16, help="default: %(default)s")
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="default: all cores")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draws the losses (.png, .svg); needs matplotlib")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the losses")
    options = parser.parse_args()
    if options.width % options.heads:
        parser.error(f"--width: {options.width} is no multiple of the {options.heads} of --heads")
    if not 0 < options.learning_rate < math.inf:
        parser.error(f"--learning_rate: {options.learning_rate} is not a positive number")
    # What would fail in the end fails at once.
    for name in ("plot", "json"):
        path = getattr(options, name)
        if path is not None and not path.absolute().parent.is_dir():
            parser.error(f"--{name}: there is no folder {path.absolute().parent}")
    if options.plot is not None:
        try:
            import matplotlib  # noqa: F401
        except ModuleNotFoundError:
            parser.error('--plot needs matplotlib: pip install ".[plot]"')
    return options


def main() -> None:
    """Trains both models and reports."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    texts = standard_library()
    for name, text in zip(("training", "validation"), texts, strict=True):
        if len(text) <= options.context:
            sys.exit(
                f"error: the standard library of this Python has {len(text)} bytes of source for {name}, "
                f"--context {options.context} needs more"
            )
    torch.manual_seed(options.seed)
    shape = (options.width, options.layers, options.heads, options.context)
    full, selective = LanguageModel(*shape, k=None), LanguageModel(*shape, k=options.k)
    selective.load_state_dict(full.state_dict())
    parameters = sum(parameter.numel() for parameter in full.parameters())
    print(
        f"{len(texts[0]) / 1e6:.1f} MB of source text, {parameters / 1e6:.2f} M parameters, {options.steps} steps of "
        f"{options.batch} x {options.context} bytes; Ctrl-C stops and reports what there is",
        flush=True,
    )
    curves: list[Curve] = []
    for model, name in ((full, "full attention"), (selective, f"top-k attention, k = {options.k}")):
        curves.append(train(model, name, texts, options))
        if curves[-1].interrupted:
            break
    print("\n| attention | steps | training loss, last tenth | validation loss | s per step | mean mass |")
    print("|---|---:|---:|---:|---:|---:|")
    for curve in curves:
        steps = len(curve.losses)
        last = curve.losses[-max(1, steps // 10) :]
        loss = f"{sum(last) / len(last):.3f}" if last else "-"
        validation = f"{list(curve.validation.values())[-1]:.3f}" if curve.validation else "-"
        mass = "-" if curve.mean_mass is None else f"{curve.mean_mass:.3f}"
        print(f"| {curve.name} | {steps} | {loss} | {validation} | {curve.seconds / max(1, steps):.3f} | {mass} |")
    if options.json is not None:
        report = {"torch": torch.__version__, "options": vars(options) | {"plot": None, "json": None}}
        report["curves"] = [vars(curve) for curve in curves]
        temporary = options.json.with_suffix(".tmp")
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        temporary.replace(options.json)
    if options.plot is not None:
        title = f"{parameters / 1e6:.2f} M parameters, {options.layers} layers, context {options.context} bytes"
        draw(curves, title, options.plot)
        print(f"\nwrote {options.plot}")
    if curves[-1].interrupted:
        sys.exit(130)


if __name__ == "__main__":
    main()
