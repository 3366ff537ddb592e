"""The functions of the package, for torch tensors, numpy arrays and whatever else speaks DLPack."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

from top_k_attention.arguments import check_k

if TYPE_CHECKING:
    import numpy as np
    import torch

    from top_k_attention.arrays import SparseWeights
    from top_k_attention.budget import Budget

    Array = Any  # numpy array or DLPack
    Result = torch.Tensor | np.ndarray
    Weights = torch.Tensor | np.ndarray | SparseWeights


def _is_tensor(*values: object) -> bool:
    """Whether any value is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and any(isinstance(value, torch.Tensor) for value in values)


def top_k_attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    top_k: Budget,
    mask: Array | None = None,
    is_causal: bool | Literal["lower_right"] = False,
    scale: float | None = None,
    temperature: float | torch.Tensor = 1.0,
    dropout_p: float = 0.0,
    enable_gqa: bool = False,
    return_weights: Literal["sparse", "dense"] | None = None,
    generator: torch.Generator | np.random.Generator | None = None,
    sinks: int = 0,
    window: int = 0,
    min_mass: float = 0.0,
    activation: Literal["softmax", "relu"] = "softmax",
    fallback_full_attention: bool = True,
) -> Result | tuple[Result, Weights]:
    """Exact top-k attention: every query scores all keys, keeps the best and attends to those alone.

    Shaped like `torch.nn.functional.scaled_dot_product_attention`. Torch tensors give tensors, with gradients in q, k,
    v, a float mask and a tensor temperature; numpy arrays and other DLPack arrays on the CPU give numpy arrays, and
    torch is not needed. On the CPU, f32, f16 and bf16 run in the kernel library on the memory that they lie in; f64,
    heads of more than 1024 numbers and other devices run in plain torch, chunk by chunk. Nothing of n x n numbers is
    allocated unless return_weights is "dense", or a mask of that size has to be turned into f16 or f32. Derivatives in
    forward mode (`torch.func.jvp`) raise NotImplementedError. Without torch, arrays are f32 or f16.

    Args:
        q, k, v: [..., head, token, d] of one floating point type. Dimensions before heads broadcast.
        top_k: keys kept per query and head, or "auto": more where a row sees more, see `budget_for`. Equal scores go to
            the lowest key, NaN ranks lowest.
        mask: broadcasts to [..., head, query, key]. Bool: True takes part. Float: added to the scores, -inf hides.
        is_causal: query i sees keys 0 to i, as in torch; "lower_right": the last query sees all keys, so query i sees
            keys 0 to n_key - n_query + i, which continuing a sequence with cached keys needs.
        scale: of the products q.k; 1 / sqrt(d) if None.
        temperature: divides the scores; from 0.001 to 1000. A tensor broadcasts to q.
        dropout_p: probability that a weight is set to 0; the others are divided by 1 - dropout_p. The backward pass
            replays it from a seed.
        enable_gqa: q may have a multiple of the heads of k and v; head h reads KV head h / (heads / KV heads).
        return_weights: also return the weights of the attention, after dropout. "dense": [..., head, query, key].
            "sparse": `torch.sparse_csr` (for arrays `SparseWeights`) of [... * head * query, key], which holds the
            kept entries only.
        generator: that the seed of the dropout is drawn from; torch's or numpy's default if None.
        sinks, window: the first and the last visible keys of each row, kept on top of top_k.
        min_mass: let the budget of a row grow, to at most 4096 keys, until it holds this share of the full softmax.
        activation: "softmax" over the kept scores, or "relu", which weighs each with max(0, score).
        fallback_full_attention: with top_k above the number of keys, attention is full; if False, that is an error.

    Returns:
        The output [..., head, query, d of v], or it and the weights.

    Raises:
        TypeError, ValueError: naming the argument, its value and what is allowed.
    """
    arguments = {
        "top_k": top_k,
        "mask": mask,
        "is_causal": is_causal,
        "scale": scale,
        "temperature": temperature,
        "dropout_p": dropout_p,
        "enable_gqa": enable_gqa,
        "return_weights": return_weights,
        "generator": generator,
        "sinks": sinks,
        "window": window,
        "min_mass": min_mass,
        "activation": activation,
        "fallback_full_attention": fallback_full_attention,
    }
    if _is_tensor(q, k, v):
        from top_k_attention import torch_function

        return torch_function.top_k_attention(q, k, v, **arguments)
    from top_k_attention import arrays

    return arrays.top_k_attention(q, k, v, **arguments)


def top_k_feed_forward(
    x: Array,
    keys: Array,
    values: Array,
    *,
    top_k: int,
    key_bias: Array | None = None,
    value_bias: Array | None = None,
    activation: Literal["softmax", "relu"] = "relu",
) -> Result:
    """A feed-forward layer that keeps the top_k largest activations of each token.

    `activation(x @ keys.T + key_bias) @ values + value_bias`, as attention over the rows of the two weight matrices
    (Gupta et al., 2021, section 3.3). `torch.nn.Linear(d, d_ff).weight` is `keys` as it is, and
    `torch.nn.Linear(d_ff, d_out).weight.T` is `values`.

    Args:
        x: [..., d].
        keys: [d_ff, d].
        values: [d_ff, d_out].
        top_k: activations kept per token.
        key_bias, value_bias: [d_ff] and [d_out], or None.
        activation: "relu" as in the paper, or "softmax".

    Returns:
        [..., d_out]. With torch, gradients reach all arguments. On the CPU the kernel library takes d and d_out up to
        1024, one less with a key_bias; plain torch takes any.
    """
    check_k(top_k, "top_k", allow_auto=False)
    given = {"x": x, "keys": keys, "values": values, "key_bias": key_bias, "value_bias": value_bias}
    given = {name: array for name, array in given.items() if array is not None or name in ("x", "keys", "values")}
    if _is_tensor(*given.values()):
        import torch as library

        from top_k_attention.torch_function import check_tensors

        check_tensors(**given)
    else:
        import numpy as library

        from top_k_attention.arrays import as_array, check_arrays

        given = {name: as_array(name, array) for name, array in given.items()}
        check_arrays(**given)
    x, keys, values = given["x"], given["keys"], given["values"]
    key_bias, value_bias = given.get("key_bias"), given.get("value_bias")
    for name, array in (("keys", keys), ("values", values)):
        if array.ndim != 2:
            raise ValueError(f"{name}.shape={tuple(array.shape)} must have 2 dimensions: [d_ff, d]")
    if keys.shape[0] != values.shape[0]:
        raise ValueError(
            f"keys.shape={tuple(keys.shape)} and values.shape={tuple(values.shape)} must have the same first dimension"
        )
    if x.ndim < 1 or x.shape[-1] != keys.shape[1]:
        raise ValueError(
            f"x.shape={tuple(x.shape)} must end with the {keys.shape[1]} of keys.shape={tuple(keys.shape)}"
        )
    leading = tuple(x.shape[:-1])
    tokens = x.reshape(-1, x.shape[-1])
    for name, bias, size in (("key_bias", key_bias, keys.shape[0]), ("value_bias", value_bias, values.shape[1])):
        if bias is not None and tuple(bias.shape) != (size,):
            raise ValueError(f"{name}.shape={tuple(bias.shape)} must be ({size},)")
    if key_bias is not None:
        # The bias is the product with one more number, which is 1.
        tokens = library.concatenate([tokens, library.ones_like(tokens[:, :1])], 1)
        keys = library.concatenate([keys, key_bias[:, None]], 1)
    y = top_k_attention(tokens, keys, values, top_k=top_k, scale=1.0, activation=activation)
    y = y.reshape(*leading, values.shape[1])
    return y if value_bias is None else y + value_bias
