"""What cannot be computed is refused with the argument, its value and what is allowed; nothing crashes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from top_k_attention import TopKAttention, create_top_k_attention_layer, top_k_attention, top_k_feed_forward

x = torch.zeros(2, 4, 6, 8)


@pytest.mark.parametrize("as_arrays", [False, True], ids=["tensors", "arrays"])
@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((8,), (6, 8), (6, 8)), ("q.shape=(8,)", "2 dimensions")),
        (((6, 8), (6, 9), (6, 8)), ("q.shape=(6, 8)", "k.shape=(6, 9)", "last dimension")),
        (((6, 8), (6, 8), (5, 8)), ("k.shape=(6, 8)", "v.shape=(5, 8)", "number of keys")),
        (((6, 0), (6, 0), (6, 8)), ("q.shape=(6, 0)", "at least 1")),
        (((6, 8), (6, 8), (6, 0)), ("v.shape=(6, 0)", "at least 1")),
        (((4, 6, 8), (3, 6, 8), (3, 6, 8)), ("4 heads", "has 3", "enable_gqa")),
        (((4, 6, 8), (2, 6, 8), (4, 6, 8)), ("k.shape=(2, 6, 8)", "v.shape=(4, 6, 8)", "number of heads")),
        (((2, 4, 6, 8), (3, 4, 6, 8), (3, 4, 6, 8)), ("must broadcast",)),
    ],
)
def test_shapes_that_do_not_fit_are_named(
    shapes: tuple[tuple[int, ...], ...], words: tuple[str, ...], as_arrays: bool
) -> None:
    make = (lambda shape: np.zeros(shape, np.float32)) if as_arrays else torch.zeros
    with pytest.raises(ValueError, match=r".") as caught:
        top_k_attention(*map(make, shapes), top_k=3)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("as_arrays", [False, True], ids=["tensors", "arrays"])
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"top_k": 0}, ValueError, ("top_k=0", "from 1 to 1073741824")),
        ({"top_k": -1}, ValueError, ("top_k=-1",)),
        ({"top_k": 10**12}, ValueError, ("top_k=1000000000000",)),
        ({"top_k": 2.0}, TypeError, ("top_k=2.0", "float", "an integer")),
        ({"top_k": True}, TypeError, ("top_k=True", "bool")),
        ({"top_k": "most"}, TypeError, ("top_k='most'", "auto")),
        ({"top_k": "auto", "fallback_full_attention": False}, ValueError, ("top_k=auto, 128 here,", "6 keys")),
        ({"top_k": None}, TypeError, ("top_k=None",)),
        ({"top_k": 7, "fallback_full_attention": False}, ValueError, ("top_k=7", "6 keys", "fallback_full_attention")),
        ({"temperature": float("nan")}, ValueError, ("temperature=nan", "0.001 to 1000")),
        ({"temperature": 0}, ValueError, ("temperature=0",)),
        ({"temperature": "1"}, TypeError, ("temperature='1'",)),
        ({"scale": float("inf")}, ValueError, ("scale=inf", "finite")),
        ({"scale": "x"}, TypeError, ("scale='x'",)),
        ({"scale": 1e38, "temperature": 0.001}, ValueError, ("scale / temperature",)),
        ({"dropout_p": 1.0}, ValueError, ("dropout_p=1.0", "below 1")),
        ({"dropout_p": -0.1}, ValueError, ("dropout_p=-0.1",)),
        ({"is_causal": "upper"}, ValueError, ("is_causal='upper'", "'lower_right'")),
        ({"is_causal": 1}, ValueError, ("is_causal=1",)),
        ({"enable_gqa": None}, TypeError, ("enable_gqa=None", "True or False")),
        ({"return_weights": "csr"}, ValueError, ("return_weights='csr'", "'sparse', 'dense'")),
        ({"generator": 7}, TypeError, ("generator=7 must be a",)),
        ({"sinks": -1}, ValueError, ("sinks=-1",)),
        ({"window": 1.5}, TypeError, ("window=1.5",)),
        ({"min_mass": 1.5}, ValueError, ("min_mass=1.5", "from 0 to 1")),
        ({"min_mass": 0.5, "activation": "relu"}, ValueError, ("min_mass=0.5", "softmax")),
        ({"activation": "gelu"}, ValueError, ("activation='gelu'", "'softmax', 'relu'")),
        ({"mask": "all"}, TypeError, ("mask is a str",)),
    ],
)
def test_options_out_of_range_are_named(
    options: dict[str, Any], error: type[Exception], words: tuple[str, ...], as_arrays: bool
) -> None:
    tensor = x.numpy() if as_arrays else x
    with pytest.raises(error) as caught:
        top_k_attention(tensor, tensor, tensor, **{"top_k": 3, **options})
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (torch.zeros(6, 5), ValueError, ("mask.shape=(6, 5)", "(2, 4, 6, 6)")),
        (torch.zeros(3, 4, 6, 6), ValueError, ("mask.shape=(3, 4, 6, 6)",)),
        (torch.zeros(1, 2, 4, 6, 6), ValueError, ("mask.shape=(1, 2, 4, 6, 6)",)),
        (torch.zeros(6, 6, dtype=torch.int32), TypeError, ("mask.dtype=", "int32", "bool")),
    ],
)
def test_masks_that_do_not_fit_are_named(mask: torch.Tensor, error: type[Exception], words: tuple[str, ...]) -> None:
    for tensor, given in ((x, mask), (x.numpy(), mask.numpy())):
        with pytest.raises(error) as caught:
            top_k_attention(tensor, tensor, tensor, top_k=3, mask=given)
        assert all(word in str(caught.value) for word in words), caught.value


def test_types_that_do_not_fit_are_named() -> None:
    with pytest.raises(TypeError, match=r"q\.dtype=torch\.int64 must be torch\.float32"):
        top_k_attention(x.long(), x, x, top_k=3)
    with pytest.raises(TypeError, match=r"k\.dtype=torch\.float16 must be that of q, torch\.float32"):
        top_k_attention(x, x.half(), x, top_k=3)
    with pytest.raises(TypeError, match=r"v is a ndarray, it must be a torch\.Tensor"):
        top_k_attention(x, x, x.numpy(), top_k=3)
    with pytest.raises(TypeError, match="q is a list"):
        top_k_attention([[1.0]], [[1.0]], [[1.0]], top_k=3)
    with pytest.raises(TypeError, match=r"q\.dtype=float64 must be float32 or float16"):
        top_k_attention(*[x.double().numpy()] * 3, top_k=3)
    with pytest.raises(TypeError, match=r"q\.layout=torch\.sparse"):
        top_k_attention(*[x[0, 0].to_sparse()] * 3, top_k=3)
    with pytest.raises(ValueError, match=r"q\.device=|k\.device=meta must be that of q, cpu"):
        top_k_attention(x, x.to("meta"), x, top_k=3)
    with pytest.raises(ValueError, match=r"q\.shape.*at most 1024"):
        top_k_attention(*[np.zeros((3, 1025), np.float32)] * 3, top_k=3)
    with pytest.raises(RuntimeError, match="require gradients"):  # torch's own
        torch.zeros(3, 4, dtype=torch.int64, requires_grad=True)


def test_temperatures_that_are_tensors_are_checked() -> None:
    with pytest.raises(ValueError, match=r"temperature has the value nan"):
        top_k_attention(x, x, x, top_k=3, temperature=torch.tensor(float("nan")))
    with pytest.raises(ValueError, match=r"temperature has the value -1"):
        top_k_attention(x, x, x, top_k=3, temperature=torch.tensor([[[1.0]], [[-1.0]], [[1.0]], [[1.0]]]))
    with pytest.raises(ValueError, match=r"temperature\.shape=\(3,\)"):
        top_k_attention(x, x, x, top_k=3, temperature=torch.ones(3))
    with pytest.raises(TypeError, match=r"temperature\.dtype=torch\.int64"):
        top_k_attention(x, x, x, top_k=3, temperature=torch.tensor(1))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"embed_dim": 0}, ValueError, ("embed_dim=0",)),
        ({"embed_dim": 15.0}, TypeError, ("embed_dim=15.0",)),
        ({"num_heads": 3}, ValueError, ("embed_dim=16", "num_heads=3")),
        ({"num_heads": 0}, ValueError, ("num_heads=0",)),
        ({"num_kv_heads": 3}, ValueError, ("num_heads=4", "num_kv_heads=3")),
        ({"k": 0}, ValueError, ("k=0",)),
        ({"k": "most"}, TypeError, ("k='most'", "auto")),
        ({"dropout": 1.0}, ValueError, ("dropout=1.0",)),
        ({"temperature": float("nan")}, ValueError, ("temperature=nan",)),
        ({"use_sparse": 1}, TypeError, ("use_sparse=1",)),
        ({"kdim": -4}, ValueError, ("kdim=-4",)),
        ({"mass": "all"}, ValueError, ("mass='all'", "sampled")),
        ({"min_mass": -1}, ValueError, ("min_mass=-1",)),
        ({"sinks": None}, TypeError, ("sinks=None",)),
    ],
)
def test_layers_refuse_settings_out_of_range(
    arguments: dict[str, Any], error: type[Exception], words: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        TopKAttention(**{"embed_dim": 16, "num_heads": 4, **arguments})
    assert all(word in str(caught.value) for word in words), caught.value


def test_layers_refuse_inputs_that_do_not_fit() -> None:
    layer = TopKAttention(16, 4, k=3)
    y = torch.zeros(2, 6, 16)
    for arguments, word in [
        ({"query": torch.zeros(16)}, r"query\.shape=\(16,\)"),
        ({"query": torch.zeros(2, 6, 15)}, r"query\.shape=\(2, 6, 15\).*16"),
        ({"query": y, "key": y[0]}, r"key\.shape=\(6, 16\)"),
        ({"query": y, "key": y, "value": y[:, :5]}, r"value\.shape=\(2, 5, 16\)"),
        ({"query": y, "key": y[:1]}, "batch size"),
        ({"query": y, "attn_mask": torch.zeros(6, 5)}, r"attn_mask\.shape=\(6, 5\).*\(6, 6\) or \(8, 6, 6\)"),
        ({"query": y, "attn_mask": torch.zeros(4, 6, 6)}, r"attn_mask\.shape=\(4, 6, 6\)"),
        ({"query": y, "key_padding_mask": torch.zeros(2, 5)}, r"key_padding_mask\.shape=\(2, 5\).*\(2, 6\)"),
    ]:
        with pytest.raises(ValueError, match=word):
            layer(**arguments)
    with pytest.raises(TypeError, match=r"attn_mask\.dtype=torch\.int64"):
        layer(y, attn_mask=torch.zeros(6, 6, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"query\.dtype=torch\.int64"):
        layer(y.long())
    with pytest.raises(TypeError, match="need_weights=1"):
        layer(y, need_weights=1)
    with pytest.raises(ValueError, match=r"k=3 is more than the 2 keys"):
        TopKAttention(16, 4, k=3, fallback_full_attention=False)(y[:, :2])
    assert TopKAttention(16, 4, k=3, fallback_full_attention=False)(y[:, :3]).shape == (2, 3, 16)
    with pytest.raises(TypeError, match="config is a dict"):
        create_top_k_attention_layer(16, 4, {"k": 3})
    assert layer.get_memory_stats()["calls"] == 0


def test_feed_forward_refuses_inputs_that_do_not_fit() -> None:
    for shapes, word in [
        (((5, 8), (8,), (9, 3)), r"keys\.shape=\(8,\)"),
        (((5, 7), (9, 8), (9, 3)), r"x\.shape=\(5, 7\).*keys\.shape=\(9, 8\)"),
        (((5, 8), (9, 8), (8, 3)), r"keys\.shape=\(9, 8\) and values\.shape=\(8, 3\)"),
    ]:
        with pytest.raises(ValueError, match=word):
            top_k_feed_forward(*map(torch.zeros, shapes), top_k=2)
    with pytest.raises(ValueError, match=r"key_bias\.shape=\(8,\) must be \(9,\)"):
        top_k_feed_forward(torch.zeros(5, 8), torch.zeros(9, 8), torch.zeros(9, 3), top_k=2, key_bias=torch.zeros(8))
    for make in (torch.zeros, lambda shape: np.zeros(shape, np.float32)):
        x, keys, values = make((5, 8)), make((9, 8)), make((9, 3))
        with pytest.raises(TypeError, match=r"key_bias is a list"):
            top_k_feed_forward(x, keys, values, top_k=2, key_bias=[0.0] * 9)
        half = torch.zeros(3).half() if make is torch.zeros else np.zeros(3, np.float16)
        with pytest.raises(TypeError, match=r"value_bias\.dtype=.*float16 must be that of x"):
            top_k_feed_forward(x, keys, values, top_k=2, value_bias=half)
    with pytest.raises(TypeError, match=r"x is a ndarray"):
        top_k_feed_forward(np.zeros((5, 8)), torch.zeros(9, 8), torch.zeros(9, 3), top_k=2)


@pytest.mark.parametrize("shape", [(0, 4, 6, 8), (2, 0, 6, 8), (2, 4, 0, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inputs_without_numbers_give_outputs_without_numbers(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    q = torch.zeros(shape, dtype=dtype, requires_grad=True)
    out, weights = top_k_attention(q, q, q, top_k=3, return_weights="dense")
    assert out.shape == shape
    assert weights.shape == (*shape[:3], shape[2])
    out.sum().backward()
    if dtype == torch.float32:
        assert top_k_attention(*[q.detach().numpy()] * 3, top_k=3).shape == shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_keys_the_output_is_zero(dtype: torch.dtype) -> None:
    q = torch.ones(2, 4, 6, 8, dtype=dtype, requires_grad=True)
    k = torch.ones(2, 4, 0, 8, dtype=dtype, requires_grad=True)
    for options in ({}, {"is_causal": "lower_right"}, {"is_causal": True}):
        out = top_k_attention(q, k, k, top_k=3, **options)
        assert torch.equal(out, torch.zeros_like(q))
        out.sum().backward()
        assert not q.grad.any()


def test_numbers_that_are_not_finite_stay_where_they_are() -> None:
    for bad in (float("nan"), float("inf"), -float("inf"), 3e38):
        q = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(1))
        k = q.clone()
        q[0, 0, 2, 3] = bad
        out = top_k_attention(q.requires_grad_(), k, k, top_k=3)
        assert out[0, 1].isfinite().all()
        assert out[0, 0, [0, 1, 3, 4, 5]].isfinite().all()
        out.sum().backward()


def random_call(source: random.Random) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """Inputs of which most fit and some do not."""
    generator = torch.Generator().manual_seed(source.randrange(2**31))
    leading = [source.choice([0, 1, 1, 2, 3]) for _ in range(source.randrange(3))]
    heads_kv = source.choice([1, 2, 3])
    heads = heads_kv * source.choice([1, 1, 2])
    queries, keys = (source.choice([0, 1, 2, 5, 17, 33, 70]) for _ in range(2))
    d, d_v = source.choice([1, 3, 8, 64]), source.choice([1, 5, 16])
    dtype = source.choice([torch.float32, torch.float32, torch.float16, torch.bfloat16, torch.float64])
    tensors = []
    for n_head, tokens, size in ((heads, queries, d), (heads_kv, keys, d), (heads_kv, keys, d_v)):
        tensor = torch.randn(*leading, n_head, tokens, size, generator=generator).to(dtype)
        kind = source.randrange(12)
        if kind == 0:
            tensor = tensor.transpose(-1, -2)  # most likely of a wrong shape
        elif kind == 1:
            tensor = tensor.transpose(-1, -2).contiguous().transpose(-1, -2)
        elif kind == 2:
            tensor = tensor[..., :1].expand(tensor.shape)
        elif kind == 3:
            tensor = tensor.flip(-2) * source.choice([1.0, float("nan"), float("inf"), 1e30])
        tensors.append(tensor.detach().requires_grad_(source.random() < 0.5))
    mask_shape = source.choice([(keys,), (queries, keys), (1, queries, keys), (heads, 1, keys), (queries, 1), (7, 3)])
    mask = torch.randn(mask_shape, generator=generator)
    return tensors, {
        "top_k": source.choice([1, 2, 3, 16, 64, 1000, 2**30, 0, -5]),
        "mask": source.choice([None, None, mask, mask > 0, mask.masked_fill(mask > 0.5, -torch.inf), mask.half()]),
        "is_causal": source.choice([False, True, "lower_right"]),
        "scale": source.choice([None, 0.0, 1.0, -2.0]),
        "temperature": source.choice([1.0, 0.01, torch.tensor(2.0, requires_grad=True)]),
        "dropout_p": source.choice([0.0, 0.0, 0.5]),
        "enable_gqa": source.choice([True, True, False]),
        "return_weights": source.choice([None, "sparse", "dense"]),
        "sinks": source.choice([0, 0, 2, 100]),
        "window": source.choice([0, 0, 3, 2**30]),
        "min_mass": source.choice([0.0, 0.0, 0.5, 1.0]),
        "activation": source.choice(["softmax", "softmax", "relu"]),
        "fallback_full_attention": source.choice([True, True, False]),
    }


def test_random_calls_compute_or_raise_and_never_crash() -> None:
    source = random.Random(20211126)
    outcomes = {"computed": 0, "refused": 0}
    for _ in range(600):
        tensors, options = random_call(source)
        try:
            out = top_k_attention(*tensors, **options)
        except (TypeError, ValueError):
            outcomes["refused"] += 1
            continue
        out = out[0] if isinstance(out, tuple) else out
        assert out.shape == (*tensors[0].shape[:-1], tensors[2].shape[-1])
        if out.requires_grad:
            out.sum().backward()
        outcomes["computed"] += 1
    assert min(outcomes.values()) > 100, outcomes


def test_random_layers_compute_or_raise_and_never_crash() -> None:
    source = random.Random(17)
    outcomes = {"computed": 0, "refused": 0}
    for _ in range(150):
        heads = source.choice([1, 2, 4])
        try:
            layer = TopKAttention(
                source.choice([8, 12, 16]),
                heads,
                k=source.choice([1, 3, 40, "auto", 0]),
                num_kv_heads=source.choice([None, 1, 2]),
                dropout=source.choice([0.0, 0.3]),
                causal=source.choice([True, False]),
                use_sparse=source.choice([True, False]),
                window=source.choice([0, 5]),
                mass=source.choice(["off", "exact", "sampled"]),
            )
            tokens = source.choice([0, 1, 5, 30])
            query = torch.randn(*[[], [2]][source.randrange(2)], tokens, source.choice([layer.embed_dim, 8]))
            mask = source.choice([None, torch.rand(tokens, tokens) < 0.5, torch.zeros(tokens)])
            result = layer(query, attn_mask=mask, need_weights=source.choice([True, False]))
        except (TypeError, ValueError):
            outcomes["refused"] += 1
            continue
        out = result[0] if isinstance(result, tuple) else result
        assert out.shape == query.shape
        out.sum().backward()
        outcomes["computed"] += 1
    assert min(outcomes.values()) > 20, outcomes
