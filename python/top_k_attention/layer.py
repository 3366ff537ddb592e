"""The multi-head attention layer for torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from top_k_attention.arguments import (
    MASS_KINDS,
    check_choice,
    check_fallback,
    check_flag,
    check_integer,
    check_k,
    check_kept,
    check_probability,
    check_temperature,
)
from top_k_attention.budget import Budget, as_number
from top_k_attention.config import TopKAttentionConfig
from top_k_attention.masks import additive, as_four_dimensions, check_mask, has_shape
from top_k_attention.options import AttentionOptions
from top_k_attention.statistics import Statistics
from top_k_attention.torch_function import (
    Attended,
    attend,
    check_temperatures,
    check_tensors,
    scale_by_temperature,
    upper_left,
)

_LARGEST_SIZE = 1 << 30


class TopKAttention(nn.Module):
    """Multi-head attention in which each query attends to the k keys with the best scores (Gupta et al., 2021).

    Takes the place of `nn.MultiheadAttention` (with batch_first=True by default): the same parameters under the same
    names, so state dicts load in both directions (but with num_kv_heads or a learned temperature, which that one has
    not). What it returns differs: the output alone, unless need_weights. So it does not fit into
    `nn.TransformerEncoderLayer`, which takes the first of two results.

    Args:
        embed_dim: numbers per token of the query and of the output; a multiple of num_heads.
        num_heads: query heads.
        k: keys kept per query and head, or "auto": more where a row sees more, see `budget_for`.
        dropout: probability that an attention weight is dropped in training.
        bias: whether the projections have one.
        temperature: divides the scores. A tensor (a scalar, or [num_heads, 1, 1]) that is an `nn.Parameter` is learned.
        use_sparse: return weights as `torch.sparse_csr`, so that nothing of n x n numbers ever exists: k entries a row
            and head, or for the mean over heads those that any head kept.
        fallback_full_attention: with k above the number of keys attention is full; if False, that is an error.
        kdim, vdim: numbers per token of key and value; embed_dim if None.
        num_kv_heads: heads of key and value, a divisor of num_heads (grouped-query attention); num_heads if None.
        batch_first: whether inputs are [batch, token, ...] rather than [token, batch, ...].
        causal: the last query sees all keys, so query i sees keys 0 to n_key - n_query + i, which continuing a sequence
            with cached keys needs.
        sinks, window: the first and the last visible keys of each row, kept on top of k.
        min_mass: let the budget of a row grow until it holds this share of the full softmax (at most 4096 keys).
        mass: which rows have their mass measured: "sampled" (those that see a multiple of 64 keys, beyond 2,048 of
            256; costs little), "exact" (all, which takes every score in f32: twice the time at 4,096 keys) or "off".
        enable_memory_tracking: count what was kept, see `get_memory_stats`.
        device, dtype: of the parameters.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int = 8,
        k: Budget = 32,
        dropout: float = 0.0,
        bias: bool = True,
        temperature: float | Tensor = 1.0,
        use_sparse: bool = False,
        fallback_full_attention: bool = True,
        *,
        kdim: int | None = None,
        vdim: int | None = None,
        num_kv_heads: int | None = None,
        batch_first: bool = True,
        causal: bool = False,
        sinks: int = 0,
        window: int = 0,
        min_mass: float = 0.0,
        mass: str = "sampled",
        enable_memory_tracking: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_integer("embed_dim", embed_dim, 1, _LARGEST_SIZE)
        check_integer("num_heads", num_heads, 1, embed_dim)
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        check_integer("num_kv_heads", num_kv_heads, 1, num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim={embed_dim} must be a multiple of num_heads={num_heads}")
        if num_heads % num_kv_heads:
            raise ValueError(f"num_heads={num_heads} must be a multiple of num_kv_heads={num_kv_heads}")
        for name, size in (("kdim", kdim), ("vdim", vdim)):
            if size is not None:
                check_integer(name, size, 1, _LARGEST_SIZE)
        check_k(k)
        min_mass = check_kept(sinks, window, min_mass)
        check_choice("mass", mass, MASS_KINDS)
        if isinstance(temperature, Tensor):
            check_temperatures(temperature, (num_heads, 1, 1), "[num_heads, 1, 1]")
        else:
            temperature = check_temperature(temperature)
        flags = {
            "bias": bias,
            "use_sparse": use_sparse,
            "fallback_full_attention": fallback_full_attention,
            "batch_first": batch_first,
            "causal": causal,
            "enable_memory_tracking": enable_memory_tracking,
        }
        for name, flag in flags.items():
            check_flag(name, flag)

        self.embed_dim, self.num_heads, self.num_kv_heads = embed_dim, num_heads, num_kv_heads
        self.head_dim = embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.k, self.sinks, self.window = k, sinks, window
        self.dropout = check_probability("dropout", dropout)
        self.min_mass, self.mass, self.causal, self.batch_first = min_mass, mass, causal, batch_first
        self.use_sparse, self.fallback_full_attention = use_sparse, fallback_full_attention
        self.enable_memory_tracking = enable_memory_tracking
        self.temperature = temperature
        self._statistics = Statistics()

        # Names and shapes of nn.MultiheadAttention: one matrix where the three inputs are alike.
        factory = {"device": device, "dtype": dtype}
        self._is_packed = self.kdim == self.vdim == embed_dim and num_kv_heads == num_heads
        kv_size = num_kv_heads * self.head_dim
        if self._is_packed:
            self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dim, embed_dim, **factory))
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.register_parameter("in_proj_weight", None)
            self.q_proj_weight = nn.Parameter(torch.empty(embed_dim, embed_dim, **factory))
            self.k_proj_weight = nn.Parameter(torch.empty(kv_size, self.kdim, **factory))
            self.v_proj_weight = nn.Parameter(torch.empty(kv_size, self.vdim, **factory))
        in_proj_bias = nn.Parameter(torch.empty(embed_dim + 2 * kv_size, **factory)) if bias else None
        self.register_parameter("in_proj_bias", in_proj_bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias, **factory)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As nn.MultiheadAttention starts."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                nn.init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            nn.init.zeros_(self.in_proj_bias)
            nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        attn_mask: Tensor | None = None,
        need_weights: bool = False,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attends from `query` to `key` and `value`; by default the three are one: self-attention.

        Args:
            query: [batch, token, embed_dim], or [token, embed_dim] for one sequence.
            key: [batch, key, kdim]; query if None.
            value: [batch, key, vdim]; key if None.
            key_padding_mask: [batch, key] (or [key]); True hides a key, a float is added to its scores.
            attn_mask: [query, key] or [batch * num_heads, query, key]; True hides, a float is added to scores.
            need_weights: return (output, weights).
            average_attn_weights: the mean of the weights over heads, rather than those of each head.
            is_causal: query i sees keys 0 to i, as in torch, whatever the layer's `causal` says; on top of attn_mask.

        Returns:
            The output in the shape of the query, and if need_weights the weights: [batch, query, key], or [batch, head,
            query, key] if not averaged. With use_sparse they are a `torch.sparse_csr` of two dimensions, [batch *
            query, key] or [batch * head * query, key].
        """
        key = query if key is None else key
        value = key if value is None else value
        flags = {"need_weights": need_weights, "average_attn_weights": average_attn_weights, "is_causal": is_causal}
        for name, flag in flags.items():
            check_flag(name, flag)
        check_tensors(query=query, key=key, value=value)
        self._check_shapes(query, key, value)
        is_batched = query.dim() == 3
        inputs = [query, key, value] if is_batched else [x.unsqueeze(0) for x in (query, key, value)]
        if is_batched and not self.batch_first:
            inputs = [x.transpose(0, 1) for x in inputs]

        q, k, v = self._project(*inputs)
        n_query, n_key = q.shape[2], k.shape[2]
        check_fallback("k", self.k, n_key, allowed=self.fallback_full_attention)
        mask = self._mask(q, n_key, key_padding_mask, attn_mask)
        q, factor = scale_by_temperature(q, None, self.temperature)
        if is_causal:
            k, v, mask = upper_left(n_query, k, v, mask)
        options = AttentionOptions(
            top_k=as_number(self.k),
            scale=factor,
            causal=is_causal or self.causal,
            sinks=self.sinks,
            window=self.window,
            min_mass=self.min_mass,
            mass=self.mass if self.enable_memory_tracking else "off",
            dropout_p=self.dropout if self.training else 0.0,
        )
        attended = attend(q, k, v, mask, options, select=need_weights)
        if self.enable_memory_tracking:
            self._statistics.add(attended.statistics)

        out = self.out_proj(attended.out.transpose(1, 2).flatten(2))
        if not is_batched:
            out = out.squeeze(0)
        elif not self.batch_first:
            out = out.transpose(0, 1)
        if not need_weights:
            return out
        return out, self._weights(attended.with_keys(n_key), average_attn_weights, is_batched)

    def get_memory_stats(self) -> dict[str, Any]:
        """What the calls since the last reset kept and saved.

        - total_memory_saved: scores that full attention would have kept and this layer did not, (n - kept) summed over
          rows (a query of a head), n being the keys that the row sees; avg_memory_saved_per_call
        - calls; fallback_calls: those that were full attention, as every row kept all keys that it sees
        - rows; full_rows: those that kept every key that they see; keys_seen, keys_kept
        - mean_mass, min_mass: of the share that the kept keys have in the full softmax, over mass_rows rows; None if
          none was measured
        - peak_scratch_bytes: working memory of the attention of a call, at most; in plain torch, the scores of a chunk
        """
        return self._statistics.report()

    def reset_memory_stats(self) -> None:
        """Starts all counts at zero."""
        self._statistics.reset()

    def extra_repr(self) -> str:
        """For print: what matters always, and what is not as by default."""
        temperature = "learned" if isinstance(self.temperature, nn.Parameter) else self.temperature
        text = f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, num_kv_heads={self.num_kv_heads}, k={self.k}"
        text += f", dropout={self.dropout}, temperature={temperature}"
        defaults = {
            "bias": True,
            "causal": False,
            "sinks": 0,
            "window": 0,
            "min_mass": 0.0,
            "mass": "sampled",
            "use_sparse": False,
            "fallback_full_attention": True,
            "batch_first": True,
        }
        has = vars(self) | {"bias": self.in_proj_bias is not None}
        return text + "".join(f", {name}={has[name]}" for name, default in defaults.items() if has[name] != default)

    def _check_shapes(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        if query.dim() not in (2, 3):
            raise ValueError(f"query.shape={tuple(query.shape)} must have 2 or 3 dimensions")
        for name, x, size in (("query", query, self.embed_dim), ("key", key, self.kdim), ("value", value, self.vdim)):
            if x.dim() != query.dim():
                raise ValueError(f"{name}.shape={tuple(x.shape)} must have {query.dim()} dimensions like query")
            if x.shape[-1] != size:
                raise ValueError(f"{name}.shape={tuple(x.shape)}: the last dimension must be {size}")
        if key.shape[:-1] != value.shape[:-1]:
            raise ValueError(
                f"key.shape={tuple(key.shape)} and value.shape={tuple(value.shape)} must have equal tokens"
            )
        batch_dim = 0 if self.batch_first else 1
        if query.dim() == 3 and query.shape[batch_dim] != key.shape[batch_dim]:
            raise ValueError(f"query.shape={tuple(query.shape)} and key.shape={tuple(key.shape)} differ in batch size")

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[batch, head, token, head_dim] of each; views of [batch, token, ...]."""
        sizes = [self.embed_dim] + [self.num_kv_heads * self.head_dim] * 2
        if self._is_packed and query is key and key is value:
            projected = functional.linear(query, self.in_proj_weight, self.in_proj_bias).split(sizes, -1)
        else:
            weights = (
                self.in_proj_weight.split(sizes)
                if self._is_packed
                else (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            )
            biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.split(sizes)
            projected = [
                functional.linear(x, weight, bias)
                for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
            ]
        return tuple(x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for x in projected)

    def _mask(self, q: Tensor, n_key: int, key_padding_mask: Tensor | None, attn_mask: Tensor | None) -> Tensor | None:
        """Both masks as one that is added to scores, [batch or 1, head or 1, query or 1, key]."""
        batch, heads, n_query, _ = q.shape
        parts = []
        if key_padding_mask is not None:
            check_mask("key_padding_mask", key_padding_mask, q)
            is_of_one = batch == 1 and has_shape(key_padding_mask, n_key)
            if not has_shape(key_padding_mask, batch, n_key) and not is_of_one:
                raise ValueError(
                    f"key_padding_mask.shape={tuple(key_padding_mask.shape)} must be (batch, keys): {(batch, n_key)}"
                )
            parts.append(_added(key_padding_mask, q.dtype).reshape(batch, 1, 1, n_key))
        if attn_mask is not None:
            check_mask("attn_mask", attn_mask, q)
            if not has_shape(attn_mask, n_query, n_key) and not has_shape(attn_mask, batch * heads, n_query, n_key):
                raise ValueError(
                    f"attn_mask.shape={tuple(attn_mask.shape)} must be (queries, keys) or (batch * num_heads, queries, "
                    f"keys): {(n_query, n_key)} or {(batch * heads, n_query, n_key)}"
                )
            full = attn_mask if attn_mask.dim() == 2 else attn_mask.view(batch, heads, n_query, n_key)
            parts.append(as_four_dimensions("attn_mask", _added(full, q.dtype), (batch, heads), n_query, n_key))
        return sum(parts[1:], parts[0]) if parts else None

    def _weights(self, attended: Attended, average: bool, is_batched: bool) -> Tensor:
        if self.use_sparse:
            return attended.mean_sparse_weights() if average else attended.sparse_weights()
        weights = attended.dense_weights()
        weights = weights.mean(1) if average else weights
        return weights if is_batched else weights.squeeze(0)


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask in which True hides, as one that is added to scores."""
    return additive(~mask if mask.dtype == torch.bool else mask, dtype)


def create_top_k_attention_layer(embed_dim: int, num_heads: int, config: TopKAttentionConfig) -> TopKAttention:
    """A layer with the settings of `config`."""
    if not isinstance(config, TopKAttentionConfig):
        raise TypeError(f"config is a {type(config).__name__}, it must be a TopKAttentionConfig")
    config.refuse_profile_in("a single layer")
    return TopKAttention(
        embed_dim,
        num_heads,
        k=config.k,
        temperature=config.temperature,
        use_sparse=config.use_sparse,
        fallback_full_attention=config.fallback_full_attention,
        enable_memory_tracking=config.enable_memory_tracking,
    )
