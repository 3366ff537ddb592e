"""Pictures of attention: which keys each query kept, shaded by their weight. Needs matplotlib."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from top_k_attention.arguments import check_flag, check_integer

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

_LARGEST = 1 << 30
_LONGEST_LABEL = 16  # characters


def plot_attention_pattern(
    weights: object,
    tokens: Iterable[object] | None = None,
    *,
    query_tokens: Iterable[object] | None = None,
    batch: int = 0,
    head: int | None = None,
    batch_size: int = 1,
    num_heads: int = 1,
    n_key: int | None = None,
    ax: Axes | None = None,
    cmap: str = "viridis",
    title: str | None = None,
    colorbar: bool = True,
    max_pixels: int = 1024,
    max_labels: int = 64,
) -> Axes:
    """Draws the weights of one sequence: a row for each query, a column for each key; keys not kept stay white.

        layer = TopKAttention(64, num_heads=4, k=8, causal=True, use_sparse=True)
        _, weights = layer(x, need_weights=True, average_attn_weights=False)  # torch.sparse_csr
        plot_attention_pattern(weights, tokens, batch_size=len(x), num_heads=4, head=2)

    Args:
        weights: what `TopKAttention` returns with need_weights=True, sparse ([batch * num_heads * query, key]) or dense
            ([batch, num_heads, query, key], or fewer dimensions); a numpy array or a SciPy matrix of these shapes; or
            CSR as (row_offsets, keys, weights).
        tokens: labels of the keys, and of the queries if there are as many or fewer, which are the last then.
        query_tokens: labels of the queries.
        batch: the sequence to draw.
        head: the head to draw; the mean of all if None.
        batch_size: sequences in sparse weights; dense ones tell.
        num_heads: heads in the weights: 1 if they were averaged. Dense ones of four dimensions tell.
        n_key: keys of a CSR triple; if None, as many as tokens, or up to the last that any query kept.
        ax: axes to draw on; new ones if None.
        cmap: matplotlib's name of a colour map.
        title: of the axes.
        colorbar: whether the scale is drawn; colours follow the square root of the weights.
        max_pixels: rows and columns of the picture. Where there are more queries or keys, a pixel has the largest
            weight of those that it stands for, so memory follows the kept weights and not query x key.
        max_labels: tokens along an axis; where there are more, positions are written instead.

    Returns:
        The axes.
    """
    for name, value, least in (
        ("batch", batch, 0),
        ("batch_size", batch_size, 1),
        ("num_heads", num_heads, 1),
        ("max_pixels", max_pixels, 1),
        ("max_labels", max_labels, 0),
    ):
        check_integer(name, value, least, _LARGEST)
    check_flag("colorbar", colorbar)
    labels = None if tokens is None else [str(token) for token in tokens]
    rows = _Rows.read(weights, batch_size, num_heads, n_key, labels)
    if labels is not None and len(labels) != rows.n_key:
        raise ValueError(f"there are {len(labels)} tokens for {rows.n_key} keys: give one for each")
    if rows.n_query == 0 or rows.n_key == 0:
        raise ValueError(f"weights of {rows.n_query} queries and {rows.n_key} keys: there is nothing to draw")
    query_labels = _query_labels(query_tokens, labels, rows.n_query)
    pattern = _pattern_of(rows, batch, head)
    image = pattern.image(max_pixels)

    pyplot, colors = _import_matplotlib()
    if ax is None:
        _, ax = pyplot.subplots(layout="constrained")
    colour_map = pyplot.get_cmap(cmap).with_extremes(bad="white")
    drawn = ax.imshow(
        image,
        cmap=colour_map,
        norm=colors.PowerNorm(0.5, vmin=0, vmax=max(pattern.weights.max(initial=0), sys.float_info.min)),
        extent=(-0.5, rows.n_key - 0.5, rows.n_query - 0.5, -0.5),
        aspect="equal" if rows.n_key == rows.n_query else "auto",
        interpolation="nearest",
    )
    ax.set(xlabel="key", ylabel="query")
    if title is not None:
        ax.set_title(title, parse_math=False)
    _label(ax.xaxis, labels, max_labels, rotation=90)
    _label(ax.yaxis, query_labels, max_labels)
    if colorbar:
        ax.figure.colorbar(drawn, ax=ax, label="weight")
    return ax


@dataclass(frozen=True)
class _Rows:
    """CSR whose rows are [batch, head, query]."""

    offsets: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    weights: npt.NDArray[np.floating[Any]]
    n_batch: int
    n_head: int
    n_query: int
    n_key: int

    @staticmethod
    def read(weights: object, batch_size: int, num_heads: int, n_key: int | None, labels: list[str] | None) -> _Rows:
        """Weights in any of their forms."""
        if isinstance(weights, tuple) and len(weights) == 3:
            offsets, keys, values = (_as_array(part) for part in weights)
            if n_key is None:
                n_key = len(labels) if labels is not None else int(keys.max(initial=-1)) + 1
            check_integer("n_key", n_key, 0, _LARGEST)
            return _Rows.of_csr(offsets, keys, values, batch_size, num_heads, n_key)
        if n_key is not None:
            raise ValueError(f"n_key={n_key} is for weights as (row_offsets, keys, weights); these tell their keys")
        if (csr := _csr_parts(weights)) is not None:
            return _Rows.of_csr(*csr[:3], batch_size, num_heads, csr[3])
        return _Rows.of_dense(_as_array(weights), num_heads)

    @staticmethod
    def of_csr(
        offsets: npt.NDArray[Any], keys: npt.NDArray[Any], weights: npt.NDArray[Any], batch: int, head: int, n_key: int
    ) -> _Rows:
        """Checked, as what others make may be wrong."""
        if any(part.ndim != 1 for part in (offsets, keys, weights)) or len(offsets) == 0:
            raise ValueError("row_offsets, keys and weights must each have one dimension, and row_offsets a number")
        if offsets[0] != 0 or (np.diff(offsets) < 0).any() or not offsets[-1] == len(keys) == len(weights):
            raise ValueError(
                f"row_offsets must rise from 0 to the number of keys and weights, {len(keys)} and {len(weights)}"
            )
        if len(keys) > 0 and not 0 <= keys.min() <= keys.max() < n_key:
            raise ValueError(f"keys are from {keys.min()} to {keys.max()}, they must be from 0 to {n_key - 1}")
        n_row = len(offsets) - 1
        if n_row % (batch * head) != 0:
            raise ValueError(
                f"{n_row} rows are no multiple of batch_size={batch} times num_heads={head}: say how many there are"
            )
        n_query = n_row // (batch * head)
        return _Rows(offsets.astype(np.int64), keys.astype(np.int64), weights, batch, head, n_query, n_key)

    @staticmethod
    def of_dense(weights: npt.NDArray[Any], num_heads: int) -> _Rows:
        """[..., query, key], with up to two dimensions before: batch and heads, or one of them."""
        if not 2 <= weights.ndim <= 4:
            raise ValueError(f"weights.shape={weights.shape} must have 2 to 4 dimensions: [batch, head, query, key]")
        if weights.ndim == 4 and num_heads in (1, weights.shape[1]):
            num_heads = weights.shape[1]
        leading = math.prod(weights.shape[:-2])
        if num_heads == 0 or leading % num_heads != 0 or (weights.ndim == 4 and num_heads != weights.shape[1]):
            raise ValueError(f"weights.shape={weights.shape} has no num_heads={num_heads} heads before query and key")
        n_query, n_key = weights.shape[-2:]
        flat = weights.reshape(-1, n_key)
        rows, keys = np.nonzero(flat)
        offsets = np.searchsorted(rows, np.arange(len(flat) + 1))
        return _Rows(offsets, keys, flat[rows, keys], leading // num_heads, num_heads, n_query, n_key)


@dataclass(frozen=True)
class _Pattern:
    """The weights of one sequence, of a head or of the mean; each pair of query and key stands there once."""

    queries: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    n_query: int
    n_key: int

    def image(self, max_pixels: int) -> np.ma.MaskedArray[Any, Any]:
        """The largest weight of each pixel; those without any are masked."""
        height, width = min(self.n_query, max_pixels), min(self.n_key, max_pixels)
        pixels = np.zeros((height, width))
        is_kept = np.zeros((height, width), dtype=bool)
        rows, columns = self.queries * height // self.n_query, self.keys * width // self.n_key
        np.maximum.at(pixels, (rows, columns), self.weights)
        is_kept[rows, columns] = True
        return np.ma.masked_array(pixels, ~is_kept)


def _pattern_of(rows: _Rows, batch: int, head: int | None) -> _Pattern:
    if batch >= rows.n_batch:
        raise ValueError(f"batch={batch} must be from 0 to {rows.n_batch - 1}")
    if head is not None:
        check_integer("head", head, 0, rows.n_head - 1)
    heads = range(rows.n_head) if head is None else [head]
    queries, keys, weights = [], [], []
    for one in heads:
        first = (batch * rows.n_head + one) * rows.n_query
        offsets = rows.offsets[first : first + rows.n_query + 1]
        entries = slice(offsets[0], offsets[-1])
        queries.append(np.repeat(np.arange(rows.n_query), np.diff(offsets)))
        keys.append(rows.keys[entries])
        weights.append(rows.weights[entries].astype(np.float64) / len(heads))
    pair, entry = np.unique(np.concatenate(queries) * rows.n_key + np.concatenate(keys), return_inverse=True)
    summed = np.bincount(entry, weights=np.concatenate(weights), minlength=len(pair))
    return _Pattern(pair // rows.n_key, pair % rows.n_key, summed, rows.n_query, rows.n_key)


def _csr_parts(weights: object) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], int] | None:
    """Row offsets, keys, weights and the number of keys of sparse weights of torch's or SciPy's; None if dense."""
    if hasattr(weights, "tocsr"):  # SciPy
        csr = weights.tocsr()
        return csr.indptr, csr.indices, csr.data, csr.shape[1]
    if not hasattr(weights, "is_sparse_csr") or not (weights.is_sparse or weights.is_sparse_csr):
        return None
    if weights.dim() != 2:
        raise ValueError(f"weights.shape={tuple(weights.shape)}: sparse weights must have two dimensions")
    csr = weights.detach()
    csr = csr if csr.is_sparse_csr else csr.coalesce().to_sparse_csr()
    parts = (_as_array(part) for part in (csr.crow_indices(), csr.col_indices(), csr.values()))
    return *parts, csr.shape[1]


def _as_array(numbers: object) -> npt.NDArray[Any]:
    """Numbers of numpy's, torch's (also bf16, with gradients, or of another device) or of a list's."""
    if hasattr(numbers, "detach"):
        numbers = numbers.detach().cpu()
        numbers = numbers.float() if numbers.is_floating_point() else numbers
    array = np.asarray(numbers)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"weights of {type(numbers).__name__} with dtype={array.dtype} must be numbers")
    return array


def _query_labels(
    query_tokens: Iterable[object] | None, labels: list[str] | None, n_query: int
) -> Sequence[str] | None:
    if query_tokens is None:
        return labels[len(labels) - n_query :] if labels is not None and n_query <= len(labels) else None
    queries = [str(token) for token in query_tokens]
    if len(queries) != n_query:
        raise ValueError(f"there are {len(queries)} query_tokens for {n_query} queries: give one for each")
    return queries


def _label(axis: Any, labels: Sequence[str] | None, most: int, rotation: int = 0) -> None:  # noqa: ANN401
    """Tokens along an axis if there is room for them, else positions."""
    if labels is None or len(labels) > most:
        return
    axis.set_ticks(range(len(labels)), [_shown(label) for label in labels], rotation=rotation, fontsize="small")
    for text in axis.get_ticklabels():
        text.set_parse_math(False)  # a dollar is a dollar


def _shown(token: str) -> str:
    """Blanks and what cannot be printed as something that can be seen; long ones shortened."""
    shown = token.replace("\n", "\u23ce").replace("\t", "\u2192").replace(" ", "\u00b7")
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
    return shown if len(shown) <= _LONGEST_LABEL else shown[: _LONGEST_LABEL - 1] + "\u2026"


def _import_matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib import colors, pyplot
    except ImportError as error:
        raise ImportError(
            f'plot_attention_pattern needs matplotlib: pip install "qwen-infer[plot]" ({error})'
        ) from error
    return pyplot, colors
