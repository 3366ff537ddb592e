"""Gradients of top_k_attention: against finite differences, the dense definition, and each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from dense_reference import Tolerance, dense_attention, tolerance
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from top_k_attention import operators, top_k_attention, top_k_feed_forward
from top_k_attention.dropout import dropout_factors

HALF_EPSILON = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


def leaves(
    seed: int,
    *,
    heads: int = 4,
    heads_kv: int = 2,
    queries: int = 33,
    keys: int = 33,
    d: int = 16,
    dtype: torch.dtype = torch.float32,
) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(2, heads, queries, d), (2, heads_kv, keys, d), (2, heads_kv, keys, d + 3)]
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """What is computed here is so small that threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["kernel", "chunked"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways that f32 on the CPU can take; other devices take the second one."""
    if request.param == "chunked":
        monkeypatch.setattr(operators, "uses_kernel", lambda _q, _v: False)
        monkeypatch.setattr("top_k_attention.chunked.CHUNK_SCORES", 1000)
    return request.param


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"is_causal": "lower_right", "sinks": 1, "window": 2},
        {"activation": "relu"},
        {"min_mass": 0.8},
        {"return_weights": "dense"},
        {"is_causal": True, "return_weights": "dense", "activation": "relu"},
    ],
    ids=str,
)
def test_gradients_agree_with_finite_differences(options: dict[str, Any]) -> None:
    q, k, v = leaves(1, queries=5, keys=7, d=3, dtype=torch.float64)

    def call(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Any:  # noqa: ANN401 - tensor or pair
        return top_k_attention(q, k, v, top_k=3, enable_gqa=True, **options)

    assert torch.autograd.gradcheck(call, (q, k, v))


def test_gradients_of_mask_and_temperature_agree_with_finite_differences() -> None:
    q, k, v = leaves(2, queries=5, keys=7, d=3, dtype=torch.float64)
    for shape in [(7,), (5, 7), (4, 5, 1), (2, 1, 5, 7), (2, 4, 1, 1)]:
        mask = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(
            lambda q, k, v, mask: top_k_attention(q, k, v, top_k=3, mask=mask, enable_gqa=True), (q, k, v, mask)
        )
    for shape in [(), (4, 1, 1), (5, 1)]:
        temperature = (torch.rand(shape, dtype=torch.float64) + 0.5).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda q, k, v, t: top_k_attention(q, k, v, top_k=3, temperature=t, enable_gqa=True), (q, k, v, temperature)
        )


def test_gradients_of_dropout_agree_with_finite_differences() -> None:
    q, k, v = leaves(3, queries=5, keys=7, d=3, dtype=torch.float64)

    def call(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        return top_k_attention(q, k, v, top_k=4, dropout_p=0.4, enable_gqa=True, generator=generator)

    assert torch.autograd.gradcheck(call, (q, k, v))


def assert_close_to_f64(
    call: Callable[..., torch.Tensor],
    definition: Callable[..., torch.Tensor],
    inputs: list[torch.Tensor],
    limit_of: Callable[[torch.Tensor], Tolerance],
) -> None:
    """Output and gradients of `call` and of `definition` on the same numbers in f64."""
    out = call(*inputs)
    grad_out = torch.randn(out.shape, generator=torch.Generator().manual_seed(9)).to(out.dtype)
    gradients = torch.autograd.grad(out, inputs, grad_out)
    exact_inputs = [x.detach().double().requires_grad_() for x in inputs]
    exact = definition(*exact_inputs)
    exact_gradients = torch.autograd.grad(exact, exact_inputs, grad_out.double())
    limits = limit_of(grad_out)
    rounding = HALF_EPSILON.get(out.dtype, 0.0)
    for name, ours, theirs, limit in zip(
        ("out", "q", "k", "v"), (out, *gradients), (exact, *exact_gradients), vars(limits).values(), strict=True
    ):
        atol = limit + rounding * theirs.abs().max().item()
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=atol, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("heads_kv", [4, 2, 1])
def test_gradients_equal_those_of_masked_dense_attention(
    dtype: torch.dtype, heads_kv: int, implementation: str
) -> None:
    inputs = leaves(4, heads_kv=heads_kv, dtype=dtype)
    causal = torch.ones(33, 33, dtype=torch.bool).tril()
    assert_close_to_f64(
        lambda q, k, v: top_k_attention(q, k, v, top_k=6, is_causal=True, enable_gqa=True),
        lambda q, k, v: dense_attention(q, k, v, 6, visible=causal).out,
        inputs,
        lambda grad_out: tolerance(*(x.detach() for x in inputs), grad_out, scale=0.25),
    )


def test_gradients_with_dropout_equal_those_of_dense_attention_with_the_same_factors(implementation: str) -> None:
    inputs, p = leaves(5), 0.25
    seed = torch.randint(0, 2**63 - 1, (), dtype=torch.int64, generator=torch.Generator().manual_seed(6)).item()
    row = torch.arange(2 * 33 * 4).view(2, 33, 4).transpose(1, 2).unsqueeze(-1)
    factors = dropout_factors(seed, row, torch.arange(33), p, torch.float64)
    assert_close_to_f64(
        lambda q, k, v: top_k_attention(
            q, k, v, top_k=9, dropout_p=p, enable_gqa=True, generator=torch.Generator().manual_seed(6)
        ),
        lambda q, k, v: dense_attention(q, k, v, 9, factors=factors).out,
        inputs,
        lambda grad_out: tolerance(*(x.detach() for x in inputs), grad_out, scale=0.25, largest_factor=4 / 3),
    )


def test_keys_that_no_row_keeps_get_no_gradient(implementation: str) -> None:
    q, k, v = leaves(7, heads=1, heads_kv=1, queries=2)
    out, weights = top_k_attention(q, k, v, top_k=3, return_weights="dense")
    out.sum().backward()
    kept = (weights > 0).any(2).squeeze(1)
    assert 0 < kept.sum() < kept.numel()
    assert ((v.grad.abs().sum(-1).squeeze(1) > 0) == kept).all()
    assert ((k.grad.abs().sum(-1).squeeze(1) > 0) <= kept).all()


def test_gradient_of_a_mask_in_f32_is_that_of_the_scores(implementation: str) -> None:
    q, k, v = leaves(8)
    for shape in [(33,), (33, 33), (2, 1, 33, 33), (2, 4, 33, 1)]:
        mask = torch.randn(shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
        exact = mask.detach().double().requires_grad_()
        out = top_k_attention(q, k, v, top_k=6, mask=mask, enable_gqa=True)
        definition = dense_attention(q, k, v, 6, added=exact.expand(2, 4, 33, 33)).out
        (gradient,) = torch.autograd.grad(out.square().sum(), mask)
        (expected,) = torch.autograd.grad(definition.square().sum(), exact)
        # A gradient of a score is a d_score: see `tolerance`, whose bound of d_v without the sum over rows is larger;
        # as many of them are added as the mask is shared by.
        shared = out[..., 0].numel() * 33 // mask.numel()
        limits = tolerance(q.detach(), k.detach(), v.detach(), 2 * out.detach(), scale=1.0)
        limit = limits.q / k.detach().abs().max().item() * shared
        torch.testing.assert_close(gradient.double(), expected, rtol=0, atol=limit)


def test_gradients_of_the_feed_forward_layer_are_those_of_the_dense_one() -> None:
    generator = torch.Generator().manual_seed(10)
    shapes = [(6, 12), (40, 12), (40, 9), (40,), (9,)]
    inputs = [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]

    def call(*inputs: torch.Tensor) -> torch.Tensor:
        x, keys, values, key_bias, value_bias = inputs
        return top_k_feed_forward(x, keys, values, top_k=5, key_bias=key_bias, value_bias=value_bias)

    assert torch.autograd.gradcheck(call, inputs)
    halved = [x.detach().float().requires_grad_() for x in inputs]
    gradients = torch.autograd.grad(call(*halved).sum(), halved)
    expected = torch.autograd.grad(call(*inputs).sum(), inputs)
    for ours, theirs in zip(gradients, expected, strict=True):
        # Sums of at most 40 products of numbers whose products were sums of 13.
        limit = 2 * (40 + 13 + 8) * 2.0**-24 * 40 * theirs.abs().max().item()
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=limit)


def test_checkpoint_replays_dropout(implementation: str) -> None:
    inputs = leaves(11)

    def call(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return top_k_attention(q, k, v, top_k=9, dropout_p=0.5, enable_gqa=True).square().sum()

    torch.manual_seed(1)
    expected = torch.autograd.grad(call(*inputs), inputs)
    torch.manual_seed(1)
    loss = checkpoint(call, *inputs, use_reentrant=False)
    torch.manual_seed(2)  # the recomputation must not care
    for ours, theirs in zip(torch.autograd.grad(loss, inputs), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_compiled_calls_give_the_same_output_and_gradients() -> None:
    inputs = [*leaves(12), torch.randn(2, 1, 33, 33, generator=torch.Generator().manual_seed(2)).requires_grad_()]
    temperature = torch.full((4, 1, 1), 0.8, requires_grad=True)

    def call(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        out, weights = top_k_attention(
            q, k, v, top_k=6, mask=mask, temperature=t, is_causal=True, enable_gqa=True, return_weights="dense"
        )
        return out.square().sum() + weights.square().sum()

    # aot_eager traces forward and backward as inductor does, without minutes of code generation.
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    inputs.append(temperature)
    expected = torch.autograd.grad(call(*inputs), inputs)
    for ours, theirs in zip(torch.autograd.grad(compiled(*inputs), inputs), expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("select", [True, False])
def test_operator_keeps_torchs_rules(dtype: torch.dtype, select: bool) -> None:
    q, k, v = leaves(13, queries=5, dtype=dtype)
    if not select:
        q, k, v = (x.detach() for x in (q, k, v))
    mask = torch.zeros(1, 1, 1, 33)
    options = (6, 0.25, False, 0, 0, 0.0, "off", "softmax", 0.0, 2.0)
    sink_logits = torch.linspace(-1, 1, q.shape[1], requires_grad=select)
    for sinks in (None, sink_logits):
        torch.library.opcheck(operators.forward, (q, k, v, mask, sinks, None, *options, select))


def test_nothing_of_size_n_x_n_is_saved_or_made() -> None:
    n, top_k, heads = 1024, 8, 2
    saved: list[int] = []
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            for x in torch.utils._pytree.tree_leaves(result):
                if isinstance(x, torch.Tensor):
                    largest = max(largest, x.untyped_storage().nbytes())
            return result

    inputs = [torch.randn(1, heads, n, 16, requires_grad=True) for _ in range(3)]

    def pack(x: torch.Tensor) -> torch.Tensor:
        saved.append(x.untyped_storage().nbytes())
        return x

    with Watch(), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = top_k_attention(*inputs, top_k=top_k, is_causal=True)
        out.sum().backward()
    rows = n * heads
    assert sum(saved) <= rows * top_k * 8 + (rows + 1) * 8 + 3 * rows * 16 * 4  # keys, weights, offsets; q, k, v
    assert largest <= rows * 16 * 4


def test_gradients_have_the_same_bits_for_every_number_of_threads() -> None:
    inputs = leaves(15, queries=200, keys=200)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        out = top_k_attention(*inputs, top_k=20, is_causal=True, enable_gqa=True)
        results.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_forward_mode_is_refused() -> None:
    q, k, v = (x.detach() for x in leaves(17))
    with pytest.raises(NotImplementedError, match="no derivatives in forward mode"):
        torch.func.jvp(lambda x: top_k_attention(x, k, v, top_k=3, enable_gqa=True), (q,), (torch.ones_like(q),))
    with forward_ad.dual_level(), pytest.raises(NotImplementedError, match="no derivatives in forward mode"):
        top_k_attention(q, k, forward_ad.make_dual(v, torch.ones_like(v)), top_k=3, enable_gqa=True)
    with forward_ad.dual_level():  # others may have them
        assert top_k_attention(q, k, v, top_k=3, enable_gqa=True).shape == (2, 4, 33, 19)


def test_a_second_derivative_is_refused() -> None:
    q, k, v = leaves(14)
    out = top_k_attention(q, k, v, top_k=6, enable_gqa=True)
    (gradient,) = torch.autograd.grad(out.sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="top_k_attention"):
        gradient.sum().backward()
