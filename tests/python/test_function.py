"""top_k_attention and top_k_feed_forward, forwards: against the definition, torch's attention and each other."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest
import torch
from conftest import BUILD, REPOSITORY
from dense_reference import dense_attention, tolerance
from torch.nn.functional import scaled_dot_product_attention

from top_k_attention import budget_for, operators, top_k_attention, top_k_feed_forward
from top_k_attention.arrays import SparseWeights
from top_k_attention.dropout import dropout_factors

HALF_EPSILON = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


def random_qkv(
    seed: int, *, batch: int = 2, heads: int = 4, heads_kv: int = 4, queries: int = 9, keys: int = 33, d: int = 16
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, heads, queries, d, generator=generator),
        torch.randn(batch, heads_kv, keys, d, generator=generator),
        torch.randn(batch, heads_kv, keys, d + 3, generator=generator),
    )


@pytest.fixture(params=["kernel", "chunked"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways that f32 on the CPU can take; other devices take the second one."""
    if request.param == "chunked":
        monkeypatch.setattr(operators, "uses_kernel", lambda _q, _v: False)
        monkeypatch.setattr("top_k_attention.chunked.CHUNK_SCORES", 300)  # many chunks, the last ones smaller
    return request.param


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "grouped heads": {"heads_kv": 2},
    "one KV head": {"heads_kv": 1},
    "one query": {"queries": 1},
    "k above n": {"top_k": 50},
    "k is n": {"top_k": 33},
    "k is 1": {"top_k": 1},
    "causal": {"queries": 33, "is_causal": True},
    "causal from cached keys": {"is_causal": "lower_right"},
    "bool mask": {"mask": "bool"},
    "float mask": {"mask": "float"},
    "mask of keys": {"mask": "keys"},
    "causal under a mask": {"queries": 33, "is_causal": True, "mask": "keys"},
    "sinks and window": {"sinks": 2, "window": 3, "top_k": 4},
    "mass": {"min_mass": 0.9, "top_k": 2},
    "ReLU": {"activation": "relu"},
    "scale and temperature": {"scale": 0.3, "temperature": 0.7},
}


@pytest.mark.parametrize("name", CASES)
def test_output_and_weights_follow_the_definition(name: str, implementation: str) -> None:
    case = dict(CASES[name])
    shape = {key: case.pop(key) for key in ("heads_kv", "queries") if key in case}
    q, k, v = random_qkv(1, **shape)
    batch, heads, queries, keys = q.shape[0], q.shape[1], q.shape[2], k.shape[2]
    top_k = case.pop("top_k", 5)
    added = visible = mask = None
    generator = torch.Generator().manual_seed(2)
    if case.get("mask") == "bool":
        mask = visible = torch.rand(batch, heads, queries, keys, generator=generator) < 0.4
    elif case.get("mask") == "float":
        mask = added = torch.randn(queries, keys, generator=generator)
        added[0] = -torch.inf  # a query that sees nothing
    elif case.get("mask") == "keys":
        mask = visible = torch.rand(batch, 1, 1, keys, generator=generator) < 0.4
    case["mask"] = mask
    if case.get("is_causal"):
        causal = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
        visible = causal if visible is None else visible & causal
    scale = case.get("scale", q.shape[-1] ** -0.5)
    kept = {key: case[key] for key in ("sinks", "window", "min_mass", "activation") if key in case}
    expected = dense_attention(
        q, k, v, top_k, added=added, visible=visible, scale=scale / case.get("temperature", 1.0), **kept
    )
    out, weights = top_k_attention(q, k, v, top_k=top_k, enable_gqa=True, return_weights="dense", **case)
    assert ((weights != 0) == (expected.weights > 0)).all()
    limits = tolerance(q, k, v, scale=scale / case.get("temperature", 1.0))
    # The sum of ReLUs is not one of shares: as large as the weights are together.
    limit = limits.out * max(1.0, expected.weights.sum(-1).max().item())
    torch.testing.assert_close(out.double(), expected.out, rtol=0, atol=limit)
    torch.testing.assert_close(weights.double(), expected.weights, rtol=0, atol=limit)
    without = top_k_attention(q, k, v, top_k=top_k, enable_gqa=True, **case)
    torch.testing.assert_close(without, out, rtol=0, atol=limit)


def test_auto_follows_what_each_row_sees(implementation: str) -> None:
    q, k, v = random_qkv(21, batch=1, heads=2, heads_kv=1, queries=40, keys=700, d=8)
    mask = torch.rand(40, 1, generator=torch.Generator().manual_seed(22)) > torch.linspace(0, 1, 700)
    visible = mask & torch.ones(40, 700, dtype=torch.bool).tril(660)
    counts = visible.sum(-1, keepdim=True)
    assert counts.min() < 128 < 512 < counts.max()
    budgets = counts.apply_(budget_for)
    expected = dense_attention(q, k, v, budgets, visible=visible)
    out, weights = top_k_attention(
        q, k, v, top_k="auto", mask=mask, is_causal="lower_right", enable_gqa=True, return_weights="dense"
    )
    assert ((weights != 0) == expected.kept).all()
    limits = tolerance(q, k, v, scale=8**-0.5)
    torch.testing.assert_close(out.double(), expected.out, rtol=0, atol=limits.out)


def test_auto_is_the_same_for_arrays() -> None:
    q, k, v = random_qkv(23, queries=3, keys=600)
    out = top_k_attention(*(x.numpy() for x in (q, k, v)), top_k="auto")
    torch.testing.assert_close(torch.from_numpy(out), top_k_attention(q, k, v, top_k="auto"), rtol=0, atol=0)
    same = top_k_attention(q, k, v, top_k=budget_for(600))
    torch.testing.assert_close(torch.from_numpy(out), same, rtol=0, atol=0)


def test_budgets_by_themselves() -> None:
    assert [budget_for(n) for n in (0, 512, 513, 2048, 8192, 1 << 30)] == [128, 128, 129, 256, 512, 512]
    with pytest.raises(ValueError, match="visible_keys=-1"):
        budget_for(-1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_computed_in_f32(dtype: torch.dtype, implementation: str) -> None:
    q, k, v = (x.to(dtype) for x in random_qkv(3))
    expected = dense_attention(q, k, v, 5)
    out = top_k_attention(q, k, v, top_k=5)
    assert out.dtype == dtype
    limit = tolerance(q, k, v, scale=0.25).out + HALF_EPSILON[dtype] * expected.out.abs().max().item()
    torch.testing.assert_close(out.double(), expected.out, rtol=0, atol=limit)


def test_equal_scores_go_to_the_lowest_keys(implementation: str) -> None:
    q = torch.ones(1, 1, 3, 4)
    k = torch.ones(1, 1, 40, 4)
    k[:, :, 7] = 2.0
    _, weights = top_k_attention(q, k, k, top_k=4, return_weights="dense")
    assert weights[0, 0, 2].nonzero().flatten().tolist() == [0, 1, 2, 7]


def test_nan_ranks_lowest(implementation: str) -> None:
    q = torch.ones(1, 1, 1, 4)
    k = torch.arange(6.0).view(1, 1, 6, 1).repeat(1, 1, 1, 4)
    k[:, :, 3] = torch.nan
    _, weights = top_k_attention(q, k, torch.ones_like(k), top_k=3, return_weights="dense")
    assert weights[0, 0, 0].nonzero().flatten().tolist() == [2, 4, 5]


@pytest.mark.parametrize(("queries", "keys"), [(7, 7), (4, 9), (9, 4)])
def test_all_keys_kept_equals_torch(queries: int, keys: int, implementation: str) -> None:
    q, k, v = random_qkv(4, queries=queries, keys=keys)
    limit = 2 * tolerance(q, k, v, scale=0.25).out  # torch rounds as well
    for is_causal in (False, True):
        expected = scaled_dot_product_attention(q, k, v, is_causal=is_causal)
        out = top_k_attention(q, k, v, top_k=keys, is_causal=is_causal)
        torch.testing.assert_close(out, expected, rtol=0, atol=limit)


def test_leading_dimensions_broadcast_as_in_torch() -> None:
    q, k, v = random_qkv(5)
    limit = 2 * tolerance(q, k, v, scale=0.25).out
    same = top_k_attention(q, k, v, top_k=5)
    for shape in [(), (4,), (2, 4), (1, 2, 4)]:
        q1, k1, v1 = (x[tuple([0] * (2 - len(shape)))].reshape(*shape, *x.shape[-2:]) for x in (q, k, v))
        out = top_k_attention(q1, k1, v1, top_k=5)
        expected = same[tuple([0] * (2 - len(shape)))].reshape(*shape, *same.shape[-2:])
        torch.testing.assert_close(out, expected, rtol=0, atol=limit)
    out = top_k_attention(q, k[:1], v[0], top_k=5)  # one sequence of keys for all
    torch.testing.assert_close(out[0], same[0], rtol=0, atol=limit)


def test_views_with_any_strides_are_read_where_they_lie() -> None:
    q, k, v = random_qkv(6)
    expected = top_k_attention(q, k, v, top_k=5)
    token_first = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    assert not token_first[0].is_contiguous()
    assert torch.equal(top_k_attention(*token_first, top_k=5), expected)
    gaps = [torch.cat([x, x], -1)[..., : x.shape[-1]] for x in (q, k, v)]
    assert torch.equal(top_k_attention(*gaps, top_k=5), expected)
    columns = [x.transpose(2, 3).contiguous().transpose(2, 3) for x in (q, k, v)]  # rows that are not contiguous
    assert torch.equal(top_k_attention(*columns, top_k=5), expected)
    expanded = k[:, :1].expand(-1, 4, -1, -1)
    assert torch.equal(top_k_attention(q, expanded, v, top_k=5), top_k_attention(q, expanded.contiguous(), v, top_k=5))


class Exporter:
    """An array of some other framework: it speaks DLPack and nothing else."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:  # noqa: ANN401
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("is_causal", [False, True, "lower_right"])
def test_arrays_give_the_bits_that_tensors_give(dtype: type, is_causal: bool | str) -> None:
    arrays = [x.numpy().astype(dtype) for x in random_qkv(7, heads_kv=2)]
    tensors = [torch.from_numpy(x) for x in arrays]
    mask = np.random.default_rng(8).random((2, 1, 9, 33)) < 0.7
    options = {"top_k": 5, "is_causal": is_causal, "enable_gqa": True, "sinks": 1}
    expected = top_k_attention(*tensors, mask=torch.from_numpy(mask), **options)
    out = top_k_attention(*arrays, mask=mask, **options)
    assert isinstance(out, np.ndarray)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, expected.numpy())
    np.testing.assert_array_equal(top_k_attention(*map(Exporter, arrays), mask=mask, **options), out)
    for x in arrays:
        x.flags.writeable = False
    np.testing.assert_array_equal(top_k_attention(*arrays, mask=mask, **options), out)


def test_arrays_that_are_not_aligned_are_copied() -> None:
    aligned = [x.numpy() for x in random_qkv(9)]
    shifted = [np.frombuffer(b"\0" + x.tobytes(), np.float32, offset=1).reshape(x.shape) for x in aligned]
    assert not any(x.flags.aligned for x in shifted)
    np.testing.assert_array_equal(top_k_attention(*shifted, top_k=5), top_k_attention(*aligned, top_k=5))


def test_weights_come_sparse_and_dense(implementation: str) -> None:
    q, k, v = random_qkv(9, queries=33)
    out, dense = top_k_attention(q, k, v, top_k=5, is_causal=True, return_weights="dense")
    torch.testing.assert_close(dense @ v, out, rtol=0, atol=2 * tolerance(q, k, v, scale=0.25).out)
    same_out, sparse = top_k_attention(q, k, v, top_k=5, is_causal=True, return_weights="sparse")
    assert torch.equal(same_out, out)
    assert sparse.layout == torch.sparse_csr
    assert sparse.shape == (2 * 4 * 33, 33)
    assert sparse.values().numel() == 2 * 4 * (33 * 5 - 10)  # the first rows see fewer than 5 keys
    assert torch.equal(sparse.to_dense().view_as(dense), dense)
    if implementation == "kernel":
        arrays = [x.numpy() for x in (q, k, v)]
        _, weights = top_k_attention(*arrays, top_k=5, is_causal=True, return_weights="sparse")
        assert isinstance(weights, SparseWeights)
        np.testing.assert_array_equal(weights.row_offsets, sparse.crow_indices().numpy())
        np.testing.assert_array_equal(weights.keys, sparse.col_indices().numpy())
        np.testing.assert_array_equal(weights.values, sparse.values().numpy())
        _, weights = top_k_attention(*arrays, top_k=5, is_causal=True, return_weights="dense")
        np.testing.assert_array_equal(weights, dense.numpy())


def test_dropout_drops_what_the_seed_says(implementation: str) -> None:
    p, keys = 0.3, 400
    q, k, v = random_qkv(10, queries=40, keys=keys)
    options = {"top_k": 20, "dropout_p": p, "return_weights": "dense"}
    out, weights = top_k_attention(q, k, v, **options, generator=torch.Generator().manual_seed(3))
    again, _ = top_k_attention(q, k, v, **options, generator=torch.Generator().manual_seed(3))
    other, _ = top_k_attention(q, k, v, **options, generator=torch.Generator().manual_seed(4))
    assert torch.equal(out, again)
    assert not torch.equal(out, other)

    seed = torch.randint(0, 2**63 - 1, (), dtype=torch.int64, generator=torch.Generator().manual_seed(3)).item()
    row = torch.arange(2 * 40 * 4).view(2, 40, 4).transpose(1, 2).unsqueeze(-1)
    factors = dropout_factors(seed, row, torch.arange(keys), p, torch.float32)
    expected = dense_attention(q, k, v, 20, factors=factors)
    limit = tolerance(q, k, v, scale=0.25, largest_factor=1 / (1 - p)).out
    torch.testing.assert_close(out.double(), expected.out, rtol=0, atol=limit)
    torch.testing.assert_close(weights.double(), expected.weights, rtol=0, atol=limit)
    # Of 6,400 kept weights a share of p is dropped; 5 standard deviations of a binomial.
    dropped = (expected.kept & (weights == 0)).sum().item() / expected.kept.sum().item()
    assert abs(dropped - p) < 5 * (p * (1 - p) / 6400) ** 0.5


def test_dropout_of_arrays_comes_from_numpys_generator() -> None:
    arrays = [x.numpy() for x in random_qkv(11)]
    first, second, third = (
        top_k_attention(*arrays, top_k=20, dropout_p=0.5, generator=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


def test_the_default_generator_makes_dropout_reproducible() -> None:
    q, k, v = random_qkv(12)
    torch.manual_seed(5)
    first = top_k_attention(q, k, v, top_k=20, dropout_p=0.5)
    second = top_k_attention(q, k, v, top_k=20, dropout_p=0.5)
    torch.manual_seed(5)
    assert torch.equal(top_k_attention(q, k, v, top_k=20, dropout_p=0.5), first)
    assert not torch.equal(second, first)


@pytest.mark.parametrize("d", [24, 1030])  # the kernel library takes heads of up to 1024 numbers
def test_feed_forward_keeps_the_largest_activations(d: int) -> None:
    generator = torch.Generator().manual_seed(13)
    x = torch.randn(2, 5, d, generator=generator)
    keys, values = (torch.randn(96, n, generator=generator) / d**0.5 for n in (d, 10))
    key_bias, value_bias = (torch.randn(n, generator=generator) for n in (96, 10))
    hidden = x.double() @ keys.double().T + key_bias
    for top_k in (96, 7):
        y = top_k_feed_forward(x, keys, values, top_k=top_k, key_bias=key_bias, value_bias=value_bias)
        threshold = hidden.topk(top_k, -1).values[..., -1:]
        expected = hidden.relu().masked_fill(hidden < threshold, 0) @ values.double() + value_bias
        # A product of d numbers, then a sum of 96 that are multiplied with values.
        limit = (
            2 * (d + 96 + 8) * 2.0**-24 * (x.abs() @ keys.abs().T + key_bias.abs()).max() * values.abs().sum(0).max()
        )
        torch.testing.assert_close(y.double(), expected, rtol=0, atol=limit.item())
        if d == 24:
            arrays = [t.numpy() for t in (x, keys, values)]
            z = top_k_feed_forward(*arrays, top_k=top_k, key_bias=key_bias.numpy(), value_bias=value_bias.numpy())
            np.testing.assert_array_equal(z, y.numpy())


def test_without_torch_arrays_work_and_the_layer_names_the_extra() -> None:
    script = """
        import sys
        sys.modules["torch"] = None  # every import of it fails
        import numpy as np
        import top_k_attention
        x = np.ones((1, 2, 5, 8), np.float32)
        assert top_k_attention.top_k_attention(x, x, x, top_k=3).shape == (1, 2, 5, 8)
        assert top_k_attention.top_k_feed_forward(x, x[0, 0], x[0, 0], top_k=3).shape == (1, 2, 5, 8)
        assert top_k_attention.TopKAttentionConfig(k=3).k == 3
        try:
            top_k_attention.TopKAttention
        except ImportError as error:
            assert 'pip install "qwen-infer[torch]"' in str(error), error
        else:
            raise AssertionError("the layer came without torch")
    """
    path = f"{BUILD / 'bin'}:{REPOSITORY / 'python'}"
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, env={"PYTHONPATH": path})
