"""Top-k attention in Hugging Face transformers, for every model that takes its attention from AttentionInterface.

    import qwen_infer.hf
    qwen_infer.hf.register()
    model = AutoModelForCausalLM.from_pretrained(name, attn_implementation="topk:k=256,sinks=4")

"topk" alone has the settings that `register` was given; what follows the colon changes them, see
`qwen_infer.settings.Settings`. GQA does not repeat K and V; padding, sliding windows, packed sequences and caches act
through the masks that transformers makes; dropout, gradients, soft-caps and sink logits work. Attention weights are not
returned, as by sdpa.

transformers accepts names that its two registries hold, word for word. So the settings of a name are parsed when a
model asks whether it may use that name, in PreTrainedModel.get_correct_attn_implementation, which `register` wraps for
this, and the name is registered then. Where nothing may be wrapped, `register("topk:k=256,sinks=4", wrap=False)` adds
one exact name through transformers' public functions alone.

Tested with transformers 5.0.0 and 5.23.0 and torch 2.13.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Any

try:
    import torch
    import transformers
    from torch import Tensor, nn
except ImportError as error:
    raise ImportError(f'qwen_infer.hf needs torch and transformers: pip install "qwen-infer[hf]" ({error})') from error

from qwen_infer.settings import Settings
from top_k_attention.budget import as_number
from top_k_attention.config import TopKAttentionConfig
from top_k_attention.masks import additive, as_four_dimensions
from top_k_attention.options import AttentionOptions
from top_k_attention.statistics import Statistics
from top_k_attention.torch_function import attend, check_tensors, upper_left

if int(transformers.__version__.split(".")[0]) < 5:
    raise ImportError(f"qwen_infer.hf needs transformers 5.0 or later, {transformers.__version__} is installed")

from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask
from transformers.utils import logging

__all__ = ["register", "reset_stats", "stats"]

_logger = logging.get_logger(__name__)
_defaults: dict[str, Settings] = {}  # by registered name
_STATISTICS = "_topk_statistics"  # attribute of an attention module
_NOT_IN_A_NAME = ("eager", "sdpa", "flash", "flex", "paged")  # transformers takes names with these for its own


def register(
    name: str = "topk",
    config: TopKAttentionConfig | None = None,
    *,
    wrap: bool = True,
    **settings: Any,  # noqa: ANN401 - checked by name
) -> str:
    """Makes attn_implementation=name, and name followed by a colon and settings, work in transformers.

    Args:
        name: by which models ask for it; with settings after a colon these are registered at once. A name that this
            function registered before gets the new settings, also in models that use it.
        config: defaults from a `TopKAttentionConfig`: its k, temperature and fallback_full_attention.
        wrap: let any settings follow the name; without it, only this very name works, see the top of this file.
        settings: defaults, as fields of `qwen_infer.settings.Settings`; they come before those of config.

    Returns:
        The name, to be used as attn_implementation.

    Raises:
        TypeError, ValueError: naming the argument, its value and what is allowed.
    """
    if not isinstance(name, str):
        raise TypeError(f"name={name!r} is a {type(name).__name__}, it must be a str")
    base, colon, _ = name.partition(":")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", base) or any(word in base for word in _NOT_IN_A_NAME):
        raise ValueError(
            f"name={base!r} must begin with a letter, go on with letters, digits, '_', '-' and '.', and have none of "
            f"{', '.join(_NOT_IN_A_NAME)} in it"
        )
    if base not in _defaults and base in AttentionInterface().valid_keys():
        raise ValueError(f"name={base!r} belongs to another attention implementation")
    defaults = Settings()
    if config is not None:
        if not isinstance(config, TopKAttentionConfig):
            raise TypeError(f"config is a {type(config).__name__}, it must be a TopKAttentionConfig")
        config.refuse_profile_in("transformers")
        defaults = Settings(k=config.k, temperature=config.temperature, fallback=config.fallback_full_attention)
    defaults = defaults.with_values(settings)
    exact = _settings_of(name, defaults) if colon else defaults
    if not colon or base not in _defaults:
        _defaults[base] = defaults
        _add(base, defaults)
    if colon:
        _add(name, exact)
    if wrap:
        _register_names_on_demand()
    return name


def stats(model: nn.Module) -> dict[str, dict[str, Any]]:
    """What each attention module of the model kept since the last reset, by its name in the model.

    The numbers are those of `top_k_attention.TopKAttention.get_memory_stats`. A sink logit is no key.
    """
    found = ((name, getattr(module, _STATISTICS, None)) for name, module in model.named_modules())
    return {name: statistics.report() for name, statistics in found if statistics is not None}


def reset_stats(model: nn.Module) -> None:
    """Starts all counts of the model at zero."""
    for module in model.modules():
        if (statistics := getattr(module, _STATISTICS, None)) is not None:
            statistics.reset()


def _settings_of(name: str, defaults: Settings) -> Settings:
    """Of a name with a colon."""
    try:
        return defaults.with_text(name.partition(":")[2])
    except (TypeError, ValueError) as error:
        raise ValueError(f"attn_implementation={name!r}: {error}") from error


def _add(name: str, settings: Settings) -> None:
    """One exact name, in both registries: without a mask function, transformers makes no mask at all."""

    def forward(module: nn.Module, *arguments: Any, **keywords: Any) -> tuple[Tensor, None]:  # noqa: ANN401
        return _attention(settings, module, *arguments, **keywords)

    AttentionInterface.register(name, forward)
    AttentionMaskInterface.register(name, _mask)


def _register_names_on_demand() -> None:
    """Wraps the method by which models ask whether they may use a name, once."""
    original = PreTrainedModel.get_correct_attn_implementation
    if hasattr(original, "_parses_topk"):
        return

    @functools.wraps(original)
    def get_correct_attn_implementation(
        self: PreTrainedModel,
        requested_attention: str | None,
        *arguments: Any,  # noqa: ANN401
        **keywords: Any,  # noqa: ANN401
    ) -> str:
        base, colon, _ = (requested_attention or "").partition(":")
        if colon and base in _defaults:
            _add(requested_attention, _settings_of(requested_attention, _defaults[base]))
        return original(self, requested_attention, *arguments, **keywords)

    get_correct_attn_implementation._parses_topk = True
    PreTrainedModel.get_correct_attn_implementation = get_correct_attn_implementation


def _mask(*arguments: Any, **keywords: Any) -> Tensor | None:  # noqa: ANN401
    """sdpa's mask as the kernel library reads it, made once for all layers. None: causal, or no mask for one query."""
    mask = sdpa_mask(*arguments, **keywords)
    return None if mask is None else additive(mask, torch.float32)


def _added_to_scores(mask: Tensor, q: Tensor, n_key: int) -> Tensor:
    """A mask of `_mask` or of the caller, [batch or 1, head or 1, query or 1, key], where -inf hides a key."""
    mask = mask[..., :n_key]  # static caches may come with longer ones
    if mask.dtype != torch.bool and (mask.dtype != torch.float16 or q.dtype == torch.float16):
        # Masks made for eager attention hide with the lowest finite number. Those of _mask are f16, with -inf already.
        mask = mask.masked_fill(mask <= torch.finfo(mask.dtype).min / 2, -torch.inf)
    return as_four_dimensions("attention_mask", additive(mask, q.dtype), tuple(q.shape[:2]), q.shape[2], n_key)


def _attention(
    settings: Settings,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    cache: object | None = None,
    **kwargs: Any,  # noqa: ANN401 - what other implementations take
) -> tuple[Tensor, None]:
    """What transformers calls: [batch, head, token, d] in, [batch, token, head, d] out, and no weights."""
    if cache is not None:
        raise ValueError("top-k attention does not work with paged caches (continuous batching): use generate()")
    if kwargs.get("output_attentions", False):
        _logger.warning_once('top-k attention returns no weights (output_attentions=True): use "eager" for that')
    if torch.is_autocast_enabled(query.device.type):  # as sdpa does
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    check_tensors(query=query, key=key, value=value)
    if query.shape[0] != key.shape[0]:  # learned queries
        query = query.expand(key.shape[0], -1, -1, -1)

    # Without a mask: causal from the upper left, as sdpa has it; an empty static cache has more keys than queries.
    n_query = query.shape[2]
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    is_causal = n_query > 1 and attention_mask is None and bool(is_causal)
    if is_causal:
        key, value = key[:, :, :n_query], value[:, :, :n_query]
    n_key = key.shape[2]
    settings.check_fallback(n_key)
    mask = None if attention_mask is None else _added_to_scores(attention_mask, query, n_key)
    if position_bias is not None:
        bias = _added_to_scores(position_bias, query, n_key)
        mask = bias if mask is None else mask + bias
    if is_causal:
        key, value, mask = upper_left(n_query, key, value, mask)

    factor = (1 / math.sqrt(query.shape[-1]) if scaling is None else float(scaling)) / settings.temperature
    options = AttentionOptions(
        top_k=as_number(settings.k),
        scale=factor,
        causal=is_causal,
        sinks=settings.sinks,
        window=settings.window,
        min_mass=float(settings.min_mass),
        mass=settings.mass,
        dropout_p=float(dropout),
        softcap=0.0 if softcap is None else float(softcap),
    )
    attended = attend(query, key, value, mask, options, select=False, sink_logits=s_aux)
    statistics = getattr(module, _STATISTICS, None)
    if statistics is None:
        statistics = Statistics()
        setattr(module, _STATISTICS, statistics)
    statistics.add(attended.statistics)
    return attended.out.transpose(1, 2).contiguous(), None
