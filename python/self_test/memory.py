"""Memory of top-k attention against full attention: scores kept, and peaks measured in processes of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from layer import peak_memory

from self_test.performance import HEADS, NAIVE_LIMIT, SIZE, TOP_K, budgets
from self_test.report import Check, require, table
from top_k_attention import TopKAttentionConfig, create_top_k_attention_layer

MIB = 1 << 20


@dataclass(frozen=True)
class Point:
    """Peak bytes of a forward and backward pass, inputs and gradients included. None: not measured."""

    tokens: int
    top_k: int
    ours: int
    fused: int | None = None  # torch's kernel, which keeps no scores but computes all
    naive: int | None = None  # the formula written out


@dataclass
class Memory:
    """What was measured."""

    lengths: list[Point] = field(default_factory=list)
    budgets: list[Point] = field(default_factory=list)


def lengths(quick: bool) -> tuple[int, ...]:
    """Of the sequences that are measured."""
    return (512, 2048) if quick else (1024, 2048, 4096, 8192)


def peak(way: str, tokens: int, top_k: int) -> int:
    """Bytes, measured in a child process."""
    threads = torch.get_num_threads()
    return peak_memory.measure(way, tokens=tokens, heads=HEADS, size=SIZE, top_k=top_k, threads=threads)["bytes"]


def _print(points: list[Point]) -> None:
    def mebibytes(size: int | None) -> str:
        return "-" if size is None else f"{size / MIB:.0f}"

    rows = [(f"{p.tokens}", f"{p.top_k}", *(mebibytes(size) for size in (p.naive, p.fused, p.ours))) for p in points]
    print(table(("tokens", "k", "full, written out, MiB", "full, fused, MiB", "top-k, MiB"), rows), flush=True)


def checks(memory: Memory, quick: bool) -> tuple[Check, ...]:
    """They fill `memory`."""

    def scores() -> str:
        """Recommended settings: scores that a layer keeps and saves, as it counts them itself."""
        rows = []
        for tokens in (256, 512, 1024) if quick else (256, 512, 1024, 2048, 4096):
            config = TopKAttentionConfig.recommended(tokens)
            layer = create_top_k_attention_layer(64, 4, config)
            with torch.no_grad():
                layer(torch.randn(1, tokens, 64))
            stats = layer.get_memory_stats()
            require(
                stats["total_memory_saved"] == 4 * tokens * (tokens - config.k_for(tokens)),
                f"{stats['total_memory_saved']} scores saved at {tokens} tokens with k = {config.k} in 4 heads",
            )
            share = stats["total_memory_saved"] / stats["keys_seen"]
            rows.append((f"{tokens}", f"{config.k}", f"{stats['keys_seen']}", f"{stats['keys_kept']}", f"{share:.1%}"))
        print(table(("tokens", "k", "scores", "kept", "saved"), rows), flush=True)
        return "4 heads, not causal"

    def by_length() -> str:
        """Peak memory of forward and backward pass by sequence length."""
        for tokens in lengths(quick):
            memory.lengths.append(
                Point(
                    tokens,
                    TOP_K,
                    peak("ours", tokens, TOP_K),
                    None if quick else peak("torch_fused", tokens, TOP_K),
                    peak("torch_naive", tokens, TOP_K) if tokens <= NAIVE_LIMIT else None,
                )
            )
        _print(memory.lengths)
        longest = memory.lengths[-1]
        # One matrix of scores in f32 for each head: what nothing here may allocate.
        matrices = 4 * HEADS * longest.tokens**2
        require(
            longest.ours < matrices,
            f"{longest.ours / MIB:.0f} MiB at {longest.tokens} tokens, one matrix of scores has {matrices / MIB:.0f}",
        )
        return f"{HEADS} heads of {SIZE}, f32; below the {matrices / MIB:.0f} MiB of one matrix of scores"

    def by_budget() -> str:
        """Peak memory of forward and backward pass by k."""
        tokens = lengths(quick)[-1]
        memory.budgets += [Point(tokens, top_k, peak("ours", tokens, top_k)) for top_k in budgets(quick)]
        _print(memory.budgets)
        return f"{tokens} tokens"

    return scores, by_length, by_budget
