"""TopKAttention, the layer: against nn.MultiheadAttention, hand counts, and what its description shows."""

from __future__ import annotations

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from top_k_attention import TopKAttention, TopKAttentionConfig, budget_for, create_top_k_attention_layer

# Layers of f32 numbers around 1: two projections and attention over at most 64 numbers each, added up. Both sides
# round, so twice a few hundred roundings.
LIMIT = 2 * 300 * 2.0**-24


def pair(seed: int = 0, **options: Any) -> tuple[nn.MultiheadAttention, TopKAttention]:  # noqa: ANN401
    """torch's layer and ours, which keeps all keys, with the same parameters."""
    torch.manual_seed(seed)
    theirs = nn.MultiheadAttention(32, 4, batch_first=True, **options).eval()
    ours = TopKAttention(32, 4, k=1000, **options).eval()
    for parameter in theirs.parameters():  # biases start at 0, which would hide mistakes
        nn.init.normal_(parameter, std=0.3)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [{}, {"kdim": 24, "vdim": 20}, {"kdim": 24}])
def test_state_dicts_load_in_both_directions(bias: bool, sizes: dict[str, int]) -> None:
    theirs, ours = pair(bias=bias, **sizes)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    query, key, value = (
        torch.randn(2, n, d) for n, d in ((5, 32), (7, sizes.get("kdim", 32)), (7, sizes.get("vdim", 32)))
    )
    expected, _ = theirs(query, key, value)
    torch.testing.assert_close(ours(query, key, value), expected, rtol=0, atol=LIMIT)


def test_parameters_start_as_torchs_do() -> None:
    torch.manual_seed(3)
    theirs = nn.MultiheadAttention(32, 4)
    torch.manual_seed(3)
    ours = TopKAttention(32, 4)
    for name, parameter in theirs.state_dict().items():
        if name != "out_proj.weight":  # theirs draws it first
            assert parameter.shape == ours.state_dict()[name].shape
    assert torch.equal(ours.in_proj_bias, theirs.in_proj_bias)
    bound = (6 / (32 + 96)) ** 0.5
    assert ours.in_proj_weight.abs().max() <= bound
    assert ours.in_proj_weight.abs().max() > 0.9 * bound


@pytest.mark.parametrize("average", [True, False])
def test_masks_and_weights_are_those_of_multihead_attention(average: bool) -> None:
    theirs, ours = pair()
    x = torch.randn(3, 9, 32)
    padding = torch.zeros(3, 9, dtype=torch.bool)
    padding[0, 6:] = True
    padding[2, 1] = True
    causal = torch.ones(9, 9, dtype=torch.bool).triu(1)
    per_head = torch.randn(12, 9, 9)
    bias = torch.randn(3, 9)
    for key_padding_mask, attn_mask in [
        (None, None),
        (padding, None),
        (None, causal),
        (padding, causal),
        (None, torch.randn(9, 9)),
        (bias, None),
        (None, per_head),
        (None, per_head > 1),
        (bias, per_head),
    ]:
        masks = {"key_padding_mask": key_padding_mask, "attn_mask": attn_mask}
        expected, expected_weights = theirs(x, x, x, **masks, average_attn_weights=average)
        out, weights = ours(x, **masks, need_weights=True, average_attn_weights=average)
        torch.testing.assert_close(out, expected, rtol=0, atol=LIMIT)
        torch.testing.assert_close(weights, expected_weights, rtol=0, atol=LIMIT)
        torch.testing.assert_close(ours(x, **masks), expected, rtol=0, atol=LIMIT)


def test_causal_flags_equal_a_causal_mask() -> None:
    theirs, ours = pair()
    x = torch.randn(2, 9, 32)
    mask = torch.ones(9, 9, dtype=torch.bool).triu(1)
    expected, _ = theirs(x, x, x, attn_mask=mask, is_causal=True)
    torch.testing.assert_close(ours(x, is_causal=True), expected, rtol=0, atol=LIMIT)
    torch.testing.assert_close(ours(x, is_causal=True, attn_mask=mask), expected, rtol=0, atol=LIMIT)
    ours.causal = True
    torch.testing.assert_close(ours(x), expected, rtol=0, atol=LIMIT)


def test_new_tokens_after_cached_keys_see_what_they_see_in_the_whole_sequence() -> None:
    torch.manual_seed(6)
    layer = TopKAttention(32, 4, k=3, causal=True)
    x = torch.randn(2, 9, 32)
    torch.testing.assert_close(layer(x[:, 6:], x), layer(x)[:, 6:], rtol=0, atol=LIMIT)
    # is_causal counts from the first key, as torch does.
    square = layer(x[:, :3], x[:, :3])
    torch.testing.assert_close(layer(x[:, :3], x, is_causal=True), square, rtol=0, atol=LIMIT)


def test_single_sequences_and_batch_second_work_as_in_torch() -> None:
    theirs, ours = pair()
    x, memory = torch.randn(9, 32), torch.randn(11, 32)
    expected, expected_weights = theirs(x, memory, memory)
    out, weights = ours(x, memory, need_weights=True)
    torch.testing.assert_close(out, expected, rtol=0, atol=LIMIT)
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=LIMIT)
    second = TopKAttention(32, 4, k=1000, batch_first=False)
    second.load_state_dict(ours.state_dict())
    batched = torch.randn(9, 3, 32)
    expected = ours(batched.transpose(0, 1)).transpose(0, 1)
    torch.testing.assert_close(second(batched), expected, rtol=0, atol=LIMIT)


def test_grouped_heads_share_keys() -> None:
    torch.manual_seed(1)
    grouped = TopKAttention(32, 4, k=3, num_kv_heads=2)
    full = TopKAttention(32, 4, k=3, kdim=32, vdim=32)
    assert grouped.k_proj_weight.shape == (16, 32)

    def repeated(x: torch.Tensor) -> torch.Tensor:
        return x.view(2, 8, *x.shape[1:]).repeat_interleave(2, 0).reshape(32, *x.shape[1:])

    weights = [grouped.q_proj_weight, repeated(grouped.k_proj_weight), repeated(grouped.v_proj_weight)]
    full.load_state_dict({"in_proj_weight": torch.cat(weights), "in_proj_bias": torch.zeros(96)}, strict=False)
    full.out_proj.load_state_dict(grouped.out_proj.state_dict())
    x = torch.randn(2, 9, 32)
    torch.testing.assert_close(grouped(x), full(x), rtol=0, atol=LIMIT)


def test_usage_of_the_description_works() -> None:
    config = TopKAttentionConfig(k=32)
    attention = create_top_k_attention_layer(512, 8, config)
    input_tensor = torch.randn(2, 64, 512)
    output = attention(input_tensor)
    assert isinstance(output, torch.Tensor)
    assert output.shape == input_tensor.shape
    stats = attention.get_memory_stats()
    assert f"Memory saved: {stats['total_memory_saved']} operations" == f"Memory saved: {2 * 8 * 64 * 32} operations"
    assert f"{stats['avg_memory_saved_per_call']:.2f}" == f"{2 * 8 * 64 * 32:.2f}"


def test_statistics_are_those_of_a_hand_count() -> None:
    torch.manual_seed(2)
    layer = TopKAttention(16, 2, k=4, causal=True, mass="exact")
    x = torch.randn(3, 10, 16)
    padding = torch.zeros(3, 10, dtype=torch.bool)
    padding[1, 3:] = True
    _, weights = layer(x, key_padding_mask=padding, need_weights=True, average_attn_weights=False)
    layer(x[:, :4])  # all 4 keys fit into k
    seen = kept = full = 0
    for call_rows, visible_of in (
        ([(b, i) for b in range(3) for i in range(10)], lambda b, i: min(i + 1, 3 if b == 1 else 10)),
        ([(b, i) for b in range(3) for i in range(4)], lambda _b, i: i + 1),
    ):
        for b, i in call_rows:
            visible = visible_of(b, i)
            seen += 2 * visible
            kept += 2 * min(visible, 4)
            full += 2 * (visible <= 4)
    stats = layer.get_memory_stats()
    assert stats["calls"] == 2
    assert stats["fallback_calls"] == 1
    assert stats["rows"] == stats["mass_rows"] == 2 * 3 * 14
    assert stats["full_rows"] == full
    assert (stats["keys_seen"], stats["keys_kept"]) == (seen, kept)
    assert stats["total_memory_saved"] == seen - kept
    assert stats["avg_memory_saved_per_call"] == (seen - kept) / 2
    assert stats["peak_scratch_bytes"] > 0
    assert int((weights > 0).sum()) == kept - 2 * 3 * (1 + 2 + 3 + 4)

    # The mass of each row from all weights: those of the same layer without a limit.
    everything = TopKAttention(16, 2, k=10, causal=True)
    everything.load_state_dict(layer.state_dict())
    _, dense = everything(x, key_padding_mask=padding, need_weights=True, average_attn_weights=False)
    mass = dense.masked_fill(weights == 0, 0).sum(-1)
    total = mass.double().sum().item() + 2 * 3 * 4  # rows of the second call keep everything
    assert stats["mean_mass"] == pytest.approx(total / (2 * 3 * 14), abs=LIMIT)
    assert stats["min_mass"] == pytest.approx(mass.min().item(), abs=LIMIT)

    layer.reset_memory_stats()
    assert layer.get_memory_stats()["calls"] == layer.get_memory_stats()["total_memory_saved"] == 0
    assert layer.get_memory_stats()["mean_mass"] is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # the kernel library, and plain torch
def test_calls_in_which_every_row_kept_all_it_sees_are_fallbacks(dtype: torch.dtype) -> None:
    layer = TopKAttention(16, 2, k=4, sinks=1, dtype=dtype)
    x = torch.randn(2, 8, 16, dtype=dtype)
    padding = torch.zeros(2, 8, dtype=torch.bool)
    calls = (
        (x[:, :5], None, 1),  # k and the sink are all 5 keys
        (x[:, :6], None, 0),
        (x, padding, 0),
        (x, padding | (torch.arange(8) >= 5), 1),
        (x, padding | (torch.arange(8) >= 5 + torch.tensor([[0], [1]])), 0),  # one sequence has a key too many
        (x[:0], None, 0),  # no row at all
    )
    for inputs, mask, expected in calls:
        layer.reset_memory_stats()
        layer(inputs, key_padding_mask=mask)
        stats = layer.get_memory_stats()
        assert (stats["calls"], stats["fallback_calls"]) == (1, expected)


def test_peak_scratch_is_that_of_the_largest_call() -> None:
    layer = TopKAttention(16, 2, k=4)
    sizes = []
    for tokens in (64, 512, 64):
        layer(torch.randn(1, tokens, 16))
        sizes.append(layer.get_memory_stats()["peak_scratch_bytes"])
    assert 0 < sizes[0] < sizes[1] == sizes[2] < 2 * 512 * 512 * 4  # less than all scores
    double = TopKAttention(16, 2, k=4, dtype=torch.float64)
    double(torch.randn(1, 64, 16, dtype=torch.float64))
    assert double.get_memory_stats()["peak_scratch_bytes"] == 2 * 64 * 64 * 8  # they fit into one chunk


def test_tracking_can_be_off_and_mass_is_sampled_by_default() -> None:
    x = torch.randn(1, 128, 16)
    silent = TopKAttention(16, 2, k=4, enable_memory_tracking=False)
    silent(x)
    assert silent.get_memory_stats()["calls"] == 0
    sampled = TopKAttention(16, 2, k=4, causal=True)
    sampled(x)
    assert sampled.get_memory_stats()["mass_rows"] == 2 * 2  # queries that see 64 and 128 keys, in 2 heads
    off = TopKAttention(16, 2, k=4, causal=True, mass="off")
    off(x)
    assert off.get_memory_stats()["mass_rows"] == 0
    assert off.get_memory_stats()["total_memory_saved"] == sampled.get_memory_stats()["total_memory_saved"]


def test_threads_that_share_a_layer_are_all_counted() -> None:
    layer = TopKAttention(16, 2, k=3).eval()
    x = torch.randn(1, 5, 16)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: layer(x), range(200)))
    finally:
        sys.setswitchinterval(interval)
    assert layer.get_memory_stats()["calls"] == 200


def test_layers_made_in_inference_mode_or_without_memory_work_afterwards() -> None:
    x = torch.randn(1, 5, 16)
    with torch.inference_mode():
        layer = TopKAttention(16, 2, k=3)
        layer(x)
    assert layer.get_memory_stats()["calls"] == 1
    layer.reset_memory_stats()
    with torch.device("meta"):
        layer = TopKAttention(16, 2, k=3)
    layer.to_empty(device="cpu")
    layer.reset_parameters()
    layer(x)
    assert layer.get_memory_stats()["calls"] == 1


def test_temperatures_are_checked_when_the_layer_is_made() -> None:
    with pytest.raises(ValueError, match="temperature has the value -1"):
        TopKAttention(16, 2, temperature=torch.tensor(-1.0))
    with pytest.raises(ValueError, match=r"temperature\.shape=\(3, 1, 1\) must broadcast to \[num_heads, 1, 1\]"):
        TopKAttention(16, 2, temperature=torch.ones(3, 1, 1))
    with pytest.raises(TypeError, match=r"temperature\.dtype=torch\.int64"):
        TopKAttention(16, 2, temperature=torch.tensor(1))


def test_repr_names_what_is_not_as_by_default() -> None:
    assert repr(TopKAttention(16, 2)).startswith(
        "TopKAttention(\n  embed_dim=16, num_heads=2, num_kv_heads=2, k=32, dropout=0.0, temperature=1.0\n"
    )
    changed = TopKAttention(16, 2, bias=False, causal=True, sinks=4, temperature=nn.Parameter(torch.ones(())))
    assert "temperature=learned, bias=False, causal=True, sinks=4\n" in repr(changed)


def test_automatic_k_follows_what_each_row_sees() -> None:
    layer = TopKAttention(16, 2, k="auto")
    layer(torch.randn(1, 700, 16))
    assert layer.get_memory_stats()["keys_kept"] == 2 * 700 * budget_for(700)
    causal = TopKAttention(16, 2, k="auto", causal=True)
    out, weights = causal(torch.randn(1, 700, 16, requires_grad=True), need_weights=True, average_attn_weights=False)
    assert causal.get_memory_stats()["keys_kept"] == 2 * sum(min(n, budget_for(n)) for n in range(1, 701))
    assert (weights[0, 0] != 0).sum(-1).tolist() == [min(n, budget_for(n)) for n in range(1, 701)]
    out.sum().backward()
    assert causal.in_proj_weight.grad.abs().sum() > 0
    with pytest.raises(ValueError, match=r"k=auto, 128 here, is more than the 100 keys"):
        TopKAttention(16, 2, k="auto", fallback_full_attention=False)(torch.randn(1, 100, 16))


def test_minimum_mass_lets_budgets_grow() -> None:
    torch.manual_seed(4)
    layer = TopKAttention(16, 2, k=2, min_mass=0.7, mass="exact")
    layer(torch.randn(1, 64, 16))
    stats = layer.get_memory_stats()
    assert stats["min_mass"] >= 0.7
    assert 2 * 64 * 2 < stats["keys_kept"] < stats["keys_seen"]


def test_sparse_weights_hold_the_kept_entries_and_nothing_dense_exists() -> None:
    n, k, heads = 256, 4, 2
    layer = TopKAttention(16, heads, k=k, use_sparse=True)
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            for x in tree_leaves(result):
                if isinstance(x, torch.Tensor) and x.layout == torch.strided:
                    largest = max(largest, x.numel())
            return result

    x = torch.randn(1, n, 16)
    with Watch():
        out, weights = layer(x, need_weights=True, average_attn_weights=False)
        _, mean = layer(x, need_weights=True)
    assert largest < n * n
    assert weights.layout == mean.layout == torch.sparse_csr
    assert weights.shape == (heads * n, n)
    assert weights.values().numel() == heads * n * k
    assert mean.shape == (n, n)
    layer.use_sparse = False
    dense_out, dense = layer(x, need_weights=True, average_attn_weights=False)
    assert torch.equal(out, dense_out)
    assert torch.equal(weights.to_dense().view(1, heads, n, n), dense)
    torch.testing.assert_close(mean.to_dense(), dense.mean(1)[0], rtol=0, atol=LIMIT)


def test_dropout_is_for_training_only() -> None:
    layer = TopKAttention(16, 2, k=4, dropout=0.5)
    x = torch.randn(1, 12, 16)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_training_with_a_learned_temperature_lowers_the_loss() -> None:
    torch.manual_seed(5)
    layer = TopKAttention(16, 2, k=4, temperature=nn.Parameter(torch.ones(2, 1, 1)))
    assert "temperature" in dict(layer.named_parameters())
    x, target = torch.randn(4, 12, 16), torch.randn(4, 12, 16)
    optimizer = torch.optim.Adam(layer.parameters(), 0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (layer(x) - target).square().mean()
        loss.backward()
        assert layer.temperature.grad.abs().min() > 0
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_layers_can_be_copied_pickled_and_cast() -> None:
    layer = TopKAttention(16, 2, k=4)
    x = torch.randn(1, 12, 16)
    expected = layer(x)
    assert torch.equal(copy.deepcopy(layer)(x), expected)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), expected)  # noqa: S301 - made in this line
    half = copy.deepcopy(layer).to(torch.bfloat16)
    assert half(x.bfloat16()).dtype == torch.bfloat16
    double = copy.deepcopy(layer).double()
    torch.testing.assert_close(double(x.double()).float(), expected, rtol=0, atol=LIMIT)
    assert "k=4" in repr(layer)


def test_compiled_layers_give_the_same_output_and_count() -> None:
    layer = TopKAttention(16, 2, k=4, causal=True)
    x = torch.randn(1, 64, 16)
    expected = layer(x)
    counted = layer.get_memory_stats()
    layer.reset_memory_stats()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), expected, rtol=0, atol=LIMIT)
    assert layer.get_memory_stats() == counted


def test_layers_compiled_for_any_length_give_the_same_output_and_gradients() -> None:
    layer = TopKAttention(16, 2, k=4, causal=True, temperature=0.8)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for tokens in (12, 20, 3):
        x = torch.randn(2, tokens, 16, requires_grad=True)
        results = [(out := call(x), *torch.autograd.grad(out.square().sum(), x)) for call in (compiled, layer)]
        for ours, expected in zip(*results, strict=True):
            torch.testing.assert_close(ours, expected, rtol=0, atol=10 * LIMIT)  # gradients are below 10


@pytest.mark.parametrize("shape", [(20,), (2, 20), (20, 20), (8, 20, 20)])
def test_masks_may_come_after_lengths_have_varied(shape: tuple[int, ...]) -> None:
    layer = TopKAttention(16, 4, k=4).eval()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for tokens in (8, 12):
        compiled(torch.randn(2, tokens, 16))
    batch = 1 if shape == (20,) else 2
    x, mask = torch.randn(batch, 20, 16), torch.zeros(shape, dtype=torch.bool)
    mask[..., 3] = True
    name = "key_padding_mask" if len(shape) < 3 and shape != (20, 20) else "attn_mask"
    torch.testing.assert_close(compiled(x, **{name: mask}), layer(x, **{name: mask}), rtol=0, atol=LIMIT)
