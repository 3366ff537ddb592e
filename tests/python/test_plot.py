"""plot_attention_pattern: every form of weights gives the same picture, and what is wrong is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from top_k_attention import TopKAttention, plot_attention_pattern

pyplot = pytest.importorskip("matplotlib.pyplot")
pyplot.switch_backend("agg")

BATCH, HEADS, TOKENS = 2, 4, 7


@pytest.fixture(autouse=True)
def _closes_figures() -> Iterator[None]:
    yield
    pyplot.close("all")


def weights_of(*, sparse: bool, average: bool) -> torch.Tensor:
    """What a layer returns for two sequences."""
    torch.manual_seed(1)
    layer = TopKAttention(16, num_heads=HEADS, k=3, causal=True, use_sparse=sparse)
    _, weights = layer(torch.randn(BATCH, TOKENS, 16), need_weights=True, average_attn_weights=average)
    return weights


def image_of(weights: object, **options: Any) -> np.ma.MaskedArray[Any, Any]:  # noqa: ANN401
    """The drawn picture."""
    return plot_attention_pattern(weights, **options).images[0].get_array()


@pytest.mark.parametrize("head", [None, 2])
def test_sparse_and_dense_weights_of_a_layer_are_drawn_alike(head: int | None) -> None:
    dense = weights_of(sparse=False, average=False).detach().numpy()
    expected = dense[1].mean(0) if head is None else dense[1, head]
    sparse = weights_of(sparse=True, average=False)
    csr = (sparse.crow_indices(), sparse.col_indices(), sparse.values())
    for weights, more in (
        (dense, {}),
        (torch.from_numpy(dense).requires_grad_(), {}),
        (dense.reshape(BATCH * HEADS, TOKENS, TOKENS), {"num_heads": HEADS}),
        (sparse, {"batch_size": BATCH, "num_heads": HEADS}),
        (sparse.to_sparse_coo(), {"batch_size": BATCH, "num_heads": HEADS}),
        (csr, {"batch_size": BATCH, "num_heads": HEADS}),
        (tuple(part.detach().numpy() for part in csr), {"batch_size": BATCH, "num_heads": HEADS, "n_key": TOKENS}),
    ):
        image = image_of(weights, batch=1, head=head, **more)
        np.testing.assert_allclose(image.filled(0), expected, atol=1e-6)
        assert (image.mask == (expected == 0)).all(), "what was not kept is white"


def test_averaged_weights_need_no_heads() -> None:
    expected = weights_of(sparse=False, average=True).detach().numpy()
    for weights, more in ((expected, {}), (weights_of(sparse=True, average=True), {"batch_size": BATCH})):
        np.testing.assert_allclose(image_of(weights, batch=1, **more).filled(0), expected[1], atol=1e-6)


class SciPyMatrix:
    """What SciPy's matrices have of CSR, with the identity inside."""

    shape = (5, 5)
    indptr, indices, data = np.arange(6), np.arange(5), np.ones(5)

    def tocsr(self) -> SciPyMatrix:
        return self


def test_scipys_matrices_are_taken() -> None:
    np.testing.assert_array_equal(image_of(SciPyMatrix()).filled(0), np.eye(5))


def test_long_texts_are_drawn_small_and_lose_no_weight() -> None:
    n = 100_000  # query x key would take 80 GB
    offsets, keys = np.arange(n + 1), np.zeros(n, dtype=np.int32)
    keys[70_000] = 99_999
    image = image_of((offsets, keys, np.linspace(0.5, 1, n)), n_key=n, max_pixels=100)
    assert image.shape == (100, 100)
    assert image[0, 0] == pytest.approx(0.505, abs=1e-4)
    assert image[70, 99] == pytest.approx(0.85, abs=1e-4), "a single weight can be seen"
    assert image.count() == 101


def test_tokens_label_both_axes_as_they_are() -> None:
    tokens = ["a b", "$x$", "\n\0", "a_very_long_identifier", "$"]
    axes = plot_attention_pattern(np.tri(5), tokens, title="$5")
    axes.figure.draw_without_rendering()  # mathematics in a label would fail here
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["a\u00b7b", "$x$", "\u23ce\\x00", "a_very_long_ide\u2026", "$"]
    assert [label.get_text() for label in axes.get_yticklabels()] == labels
    queries = plot_attention_pattern(np.tri(2, 5, 3), tokens)
    assert [label.get_text() for label in queries.get_yticklabels()] == labels[3:], "the last ones"
    positions = plot_attention_pattern(np.tri(5), tokens, max_labels=4)
    assert "a\u00b7b" not in [label.get_text() for label in positions.get_xticklabels()]


def test_draws_on_the_axes_that_it_gets() -> None:
    figure, (left, right) = pyplot.subplots(1, 2)
    assert plot_attention_pattern(np.eye(3), ax=right, colorbar=False) is right
    assert not left.images
    assert figure.axes == [left, right]


CSR = ([0, 1, 2], [0, 1], [1.0, 1.0])


@pytest.mark.parametrize(
    ("weights", "options", "expected"),
    [
        (np.eye(3), {"tokens": "ab"}, "there are 2 tokens for 3 keys"),
        (np.eye(3), {"query_tokens": "ab"}, "there are 2 query_tokens for 3 queries"),
        (np.eye(3), {"batch": 1}, "batch=1 must be from 0 to 0"),
        (np.eye(3), {"head": 1}, "head=1 must be an integer from 0 to 0"),
        (np.eye(3), {"n_key": 3}, "n_key=3 is for weights as"),
        (np.zeros(3), {}, r"weights.shape=\(3,\) must have 2 to 4 dimensions"),
        (np.zeros((0, 3)), {}, "weights of 0 queries and 3 keys: there is nothing to draw"),
        (np.zeros((3, 5, 5)), {"num_heads": 2}, "has no num_heads=2 heads"),
        (np.zeros((1, 3, 5, 5)), {"num_heads": 2}, "has no num_heads=2 heads"),
        (np.eye(3).astype(str), {}, "must be numbers"),
        (CSR, {"batch_size": 3}, "2 rows are no multiple of batch_size=3 times num_heads=1"),
        (CSR, {"n_key": 1}, "keys are from 0 to 1, they must be from 0 to 0"),
        (([0, 2, 1], [0, 1], [1.0, 1.0]), {}, "row_offsets must rise from 0"),
        (([0, 1], [0, 1], [1.0, 1.0]), {}, "row_offsets must rise from 0"),
    ],
)
def test_mistakes_are_named(weights: object, options: dict[str, Any], expected: str) -> None:
    with pytest.raises((ValueError, TypeError), match=expected):
        plot_attention_pattern(weights, **options)


def test_without_matplotlib_the_extra_is_named() -> None:
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; sys.modules['matplotlib'] = None\n"
        "import numpy, top_k_attention\n"
        "try: top_k_attention.plot_attention_pattern(numpy.eye(2))\n"
        "except ImportError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'needs matplotlib: pip install "qwen-infer[plot]"' in result.stdout
