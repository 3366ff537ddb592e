"""Checks that function and layer compute what they say."""

from __future__ import annotations

import torch
from layer import timing, ways
from layer.reference import EPSILON, reference
from torch import nn

from self_test.report import require
from top_k_attention import TopKAttention, TopKAttentionConfig, create_top_k_attention_layer, top_k_attention


def layer_of_the_description() -> str:
    """A layer made from a config returns a tensor like its input."""
    torch.manual_seed(0)
    layer = create_top_k_attention_layer(512, 8, TopKAttentionConfig(k=32))
    x = torch.randn(2, 128, 512)
    out = layer(x)
    require(out.shape == x.shape, f"the output has the shape {tuple(out.shape)}, not {tuple(x.shape)}")
    require(bool(out.isfinite().all()), "the output has numbers that are not finite")
    return f"{tuple(x.shape)}, {layer.num_heads} heads, k = {layer.k}"


def output_and_gradients() -> str:
    """Output and gradients are those of the definition, computed with all scores in f64."""
    for tokens, top_k in ((1, 1), (63, 8), (300, 32), (700, 700)):
        inputs = timing.Inputs.random(heads=2, tokens=tokens, size=64)
        right = reference(inputs.q, inputs.k, inputs.v, top_k, inputs.grad_out)
        right.check(f"{tokens} tokens, k = {top_k}", timing.call(ways.ours(top_k), inputs, backward=True))
    return "1 to 700 tokens, k = 1 to 700, within what rounding to f32 explains"


def all_keys_kept() -> str:
    """With k above the number of tokens attention is full, as nn.MultiheadAttention computes it."""
    torch.manual_seed(0)
    size, tokens = 64, 48
    theirs = nn.MultiheadAttention(size, 4, batch_first=True)
    ours = TopKAttention(size, 4, k=1000)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, tokens, size)
    off = (ours(x) - theirs(x, x, x, need_weights=False)[0]).abs().max().item()
    # Four sums of `size` products follow each other and one of `tokens`. Scores are below 4 here, and what they are off
    # comes out multiplied by that; the largest sum of the last projection scales it. Both sides round.
    largest = (ours.out_proj.weight.abs().sum(1).max() * x.abs().max()).item()
    limit = 2 * 4 * (4 * size + tokens) * EPSILON * largest
    require(off <= limit, f"the outputs differ by {off:.3g}, rounding explains {limit:.3g}")
    require(ours.get_memory_stats()["fallback_calls"] == 1, "the call was not counted as a fallback")
    return f"off by {off:.1g}, counted as a fallback"


def masks() -> str:
    """Masked keys have no influence, nor has the future on the past."""
    torch.manual_seed(0)
    layer = TopKAttention(64, 4, k=8).eval()
    x = torch.randn(2, 40, 64)
    changed = x.clone()
    changed[:, 30:] = torch.randn(2, 10, 64)
    padding = torch.zeros(2, 40, dtype=torch.bool)
    padding[:, 30:] = True
    masked = [layer(x[:, :30], y, y, key_padding_mask=padding) for y in (x, changed)]
    require(torch.equal(*masked), "keys that key_padding_mask hides change the output")
    causal = [layer(y, is_causal=True)[:, :30] for y in (x, changed)]
    require(torch.equal(*causal), "with is_causal, later tokens change the output of earlier ones")
    hidden = torch.ones(40, 40, dtype=torch.bool).triu(1)
    require(
        torch.equal(layer(x, attn_mask=hidden)[:, :30], layer(changed, attn_mask=hidden)[:, :30]),
        "keys that attn_mask hides change the output",
    )
    return "key_padding_mask, is_causal, attn_mask: bit by bit"


def weights() -> str:
    """Each row keeps k keys, whose weights sum to 1; sparse weights are the dense ones."""
    torch.manual_seed(0)
    x, k = torch.randn(2, 50, 64), 8
    dense, sparse = (TopKAttention(64, 4, k=k, use_sparse=use_sparse) for use_sparse in (False, True))
    sparse.load_state_dict(dense.state_dict())
    _, of_dense = dense(x, need_weights=True, average_attn_weights=False)
    _, of_sparse = sparse(x, need_weights=True, average_attn_weights=False)
    kept = (of_dense > 0).sum(-1)
    require(bool((kept == k).all()), f"rows keep {kept.min()} to {kept.max()} keys, not {k}")
    off = (of_dense.sum(-1) - 1).abs().max().item()
    require(off <= (k + 4) * EPSILON, f"weights sum to 1 but for {off:.3g}")  # k roundings, those of exp and division
    require(of_sparse.layout == torch.sparse_csr, f"sparse weights are {of_sparse.layout}")
    require(torch.equal(of_sparse.to_dense(), of_dense.flatten(0, 2)), "sparse and dense weights differ")
    return f"{of_sparse.values().numel()} of {of_dense.numel()} weights kept"


def statistics() -> str:
    """Memory statistics are those of a hand count: n - k for each row and head."""
    batch, tokens, heads, k, calls = 2, 100, 4, 16, 3
    layer = TopKAttention(64, heads, k=k)
    for _ in range(calls):
        layer(torch.randn(batch, tokens, 64))
    stats, saved = layer.get_memory_stats(), batch * heads * tokens * (tokens - k)
    require(stats["total_memory_saved"] == calls * saved, f"{stats['total_memory_saved']} saved, not {calls * saved}")
    average = stats["avg_memory_saved_per_call"]
    require(average == saved, f"{average} saved per call, not {saved}")
    require(stats["calls"] == calls, f"{stats['calls']} calls counted, not {calls}")
    layer.reset_memory_stats()
    require(layer.get_memory_stats()["total_memory_saved"] == 0, "a reset leaves something")
    return f"{stats['total_memory_saved']} scores saved in {calls} calls ({100 * (1 - k / tokens):.0f} %)"


def temperature() -> str:
    """A lower temperature focuses: scores are divided by it."""
    q, k, v = (torch.randn(1, 2, 60, 32, generator=torch.Generator().manual_seed(0)) for _ in range(3))
    largest = {}
    for value in (0.5, 1.0, 2.0):
        out, of_rows = top_k_attention(q, k, v, top_k=8, temperature=value, return_weights="dense")
        largest[value] = of_rows.max(-1).values.mean().item()
        # Powers of two scale without rounding.
        require(torch.equal(out, top_k_attention(q / value, k, v, top_k=8)), f"temperature={value} does not divide")
    require(largest[0.5] > largest[1.0] > largest[2.0], f"mean largest weights by temperature: {largest}")
    return ", ".join(f"{value:g}: largest weight {largest[value]:.2f}" for value in largest)


def arrays() -> str:
    """Arrays of numpy give the bits that tensors give."""
    inputs = timing.Inputs.random(heads=2, tokens=200, size=64)
    tensors = (inputs.q, inputs.k, inputs.v)
    out = top_k_attention(*(x.numpy() for x in tensors), top_k=16)
    require(torch.equal(torch.from_numpy(out), top_k_attention(*tensors, top_k=16)), "arrays and tensors differ")
    return type(out).__name__


def threads() -> str:
    """Every number of threads gives the same bits."""
    inputs, before = timing.Inputs.random(heads=3, tokens=400, size=64), torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(timing.call(ways.ours(32), inputs, backward=True))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        require(all(map(torch.equal, results[0], other)), "output or gradients depend on the number of threads")
    return "1, 2 and 3 threads, output and gradients"


def training() -> str:
    """Training lowers the loss: a layer learns to copy the token that its query points to."""
    torch.manual_seed(0)
    layer, tokens = TopKAttention(32, 4, k=4), 64
    optimizer = torch.optim.Adam(layer.parameters(), lr=3e-3)
    losses = []
    for _ in range(150):
        x = torch.randn(8, tokens, 32)
        loss = (layer(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    first, last = sum(losses[:10]) / 10, sum(losses[-10:]) / 10
    require(last < first / 2, f"the loss went from {first:.3f} to {last:.3f}")
    return f"{first:.3f} to {last:.3f} in {len(losses)} steps"


CHECKS = (
    layer_of_the_description,
    output_and_gradients,
    all_keys_kept,
    masks,
    weights,
    statistics,
    temperature,
    arrays,
    threads,
    training,
)
