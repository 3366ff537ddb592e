"""Checks of arguments. Each error names the argument, its value and what is allowed."""

from __future__ import annotations

import numbers

from top_k_attention.budget import Budget, budget_for

# Ranges as in the kernel library's table of options.
LARGEST_K = 1 << 30
_LARGEST_COUNT = 1 << 30  # of sinks and of window
LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 0.001, 1000.0
TEMPERATURES = f"from {LEAST_TEMPERATURE} to {LARGEST_TEMPERATURE:g}"  # torch.compile cannot format numbers

ACTIVATIONS = ("softmax", "relu")
CAUSAL_KINDS = (False, True, "lower_right")
MASS_KINDS = ("off", "sampled", "exact")
_LARGEST_F32 = (2 - 2**-23) * 2.0**127
_BELOW_ONE_F32 = 1 - 2.0**-24


def check_k(k: object, name: str = "k", *, allow_auto: bool = True) -> None:
    """A budget: 1 to 2^30, or "auto" where that is allowed."""
    if allow_auto and isinstance(k, str) and k == "auto":
        return
    allowed = f"an integer from 1 to {LARGEST_K}" + (', or "auto"' if allow_auto else "")
    check_integer(name, k, 1, LARGEST_K, allowed)


def _wrong_type(name: str, value: object, allowed: str) -> TypeError:
    """The quotes of a text say what it is, the more so where it was read from a list of settings."""
    kind = "" if isinstance(value, str) else f" is a {type(value).__name__}, it"
    return TypeError(f"{name}={value!r}{kind} must be {allowed}")


def check_integer(name: str, value: object, least: int, most: int, allowed: str = "") -> None:
    """An integer, and not a bool, from `least` to `most`."""
    allowed = allowed or f"an integer from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise _wrong_type(name, value, allowed)
    if not least <= value <= most:
        raise ValueError(f"{name}={value} must be {allowed}")


def check_number(name: str, value: object, allowed: str, least: float, most: float) -> float:
    """A real number from `least` to `most`, which NaN is not."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise _wrong_type(name, value, allowed)
    if not least <= value <= most:
        raise ValueError(f"{name}={value} must be {allowed}")
    return float(value)


def check_kept(sinks: object, window: object, min_mass: object) -> float:
    """What is kept on top of the budget; returns min_mass."""
    check_integer("sinks", sinks, 0, _LARGEST_COUNT)
    check_integer("window", window, 0, _LARGEST_COUNT)
    return check_number("min_mass", min_mass, "a number from 0 to 1", 0.0, 1.0)


def check_temperature(value: object) -> float:
    """What divides scores."""
    return check_number("temperature", value, f"a number {TEMPERATURES}", LEAST_TEMPERATURE, LARGEST_TEMPERATURE)


def check_finite(name: str, value: object) -> float:
    """A number that f32 holds."""
    return check_number(name, value, "a finite number", -_LARGEST_F32, _LARGEST_F32)


def check_probability(name: str, value: object) -> float:
    """A share that may be dropped: 0 <= p < 1, in f32."""
    return check_number(name, value, "a number from 0 to below 1", 0.0, _BELOW_ONE_F32)


def check_flag(name: str, value: object) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise _wrong_type(name, value, "True or False")


def check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """One of a few values; 1 and 0 are not taken for True and False."""
    if not any(value is choice or (isinstance(choice, str) and value == choice) for choice in allowed):
        raise ValueError(f"{name}={value!r} must be one of {', '.join(map(repr, allowed))}")


def check_fallback(
    name: str, k: Budget, n_key: int, *, allowed: bool, remedy: str = "set fallback_full_attention=True"
) -> None:
    """A budget may be above the number of keys, which makes attention full, only if that is allowed."""
    if allowed:
        return
    budget = budget_for(n_key) if k == "auto" else k
    if budget > n_key:
        shown = f"auto, {budget} here," if k == "auto" else f"{k}"
        raise ValueError(
            f"{name}={shown} is more than the {n_key} keys, so attention would be full: lower it or {remedy}"
        )


def check_call(
    *,
    n_key: int,
    top_k: object,
    sinks: object,
    window: object,
    min_mass: object,
    activation: object,
    fallback: object,
) -> None:
    """What the function and the layer are given alike for each call."""
    check_k(top_k, "top_k")
    check_kept(sinks, window, min_mass)
    check_choice("activation", activation, ACTIVATIONS)
    check_flag("fallback_full_attention", fallback)
    if activation == "relu" and min_mass > 0:
        raise ValueError(f'min_mass={min_mass} needs activation="softmax": mass is a share of the softmax')
    check_fallback("top_k", top_k, n_key, allowed=fallback)


def attention_shape(
    q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...], *, enable_gqa: bool
) -> tuple[tuple[int, ...], int]:
    """The shape of the result without its last dimension, and the number of KV heads.

    Shapes are [..., head, token, d]; without a third dimension there is one head. Dimensions before heads broadcast.
    """
    for name, shape in (("q", q), ("k", k), ("v", v)):
        if len(shape) < 2:
            raise ValueError(f"{name}.shape={shape} must have at least 2 dimensions: [..., head, token, d]")
        if shape[-1] < 1:
            raise ValueError(f"{name}.shape={shape}: the last dimension must be at least 1")
    if q[-1] != k[-1]:
        raise ValueError(f"q.shape={q} and k.shape={k} must have the same last dimension")
    if k[-2] != v[-2]:
        raise ValueError(f"k.shape={k} and v.shape={v} must have the same number of keys (second to last)")
    heads, heads_k, heads_v = (shape[-3] if len(shape) > 2 else 1 for shape in (q, k, v))
    if heads_k != heads_v:
        raise ValueError(f"k.shape={k} and v.shape={v} must have the same number of heads (third to last)")
    if enable_gqa and (heads_k < 1 or heads % heads_k):
        raise ValueError(f"q.shape={q} has {heads} heads, which is no multiple of the {heads_k} of k.shape={k}")
    if not enable_gqa and heads != heads_k and 1 not in (heads, heads_k):
        raise ValueError(
            f"q.shape={q} has {heads} heads and k.shape={k} has {heads_k}: they must be equal, or enable_gqa=True"
        )
    rank = max(len(q), len(k), len(v))
    batch: list[int] = []
    for position in range(rank - 3):
        sizes = [((1,) * (rank - len(shape)) + shape)[position] for shape in (q, k, v)]
        largest = 0 if 0 in sizes else max(sizes)
        if any(size not in (1, largest) for size in sizes):
            raise ValueError(f"q.shape={q}, k.shape={k} and v.shape={v} must broadcast in the dimensions before heads")
        batch.append(largest)
    all_heads = heads if enable_gqa or heads_k == 1 else max(heads, heads_k) if 0 not in (heads, heads_k) else 0
    return (*batch, *((all_heads,) if rank > 2 else ()), q[-2]), heads_k
