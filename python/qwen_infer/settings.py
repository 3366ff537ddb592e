"""Settings of top-k attention in one string, "k=256,sinks=4", as the plugin and the program take them."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any

from top_k_attention.arguments import (
    MASS_KINDS,
    check_choice,
    check_fallback,
    check_flag,
    check_k,
    check_kept,
    check_temperature,
)
from top_k_attention.budget import Budget

_ON, _OFF = ("on", "true", "1", "yes"), ("off", "false", "0", "no")  # words of the kernel library's table of options


@dataclass(frozen=True)
class Settings:
    """Names, ranges and defaults of the kernel library's table of options.

    Args:
        k: keys kept per query and head, or "auto": more where a row sees more, see `top_k_attention.budget_for`.
        temperature: divides the scores.
        sinks, window: the first and the last visible keys of each row, kept on top of k.
        min_mass: let the budget of a row grow, to at most 4096 keys, until it holds this share of the full softmax.
        fallback: full attention where k is more than the number of keys; if off, that is an error.
        mass: which rows have their mass measured: "off", "sampled" (one in 64 to 256) or "exact".
    """

    k: Budget = 256
    temperature: float = 1.0
    sinks: int = 0
    window: int = 0
    min_mass: float = 0.0
    fallback: bool = True
    mass: str = "off"

    def __post_init__(self) -> None:
        """Checks every field."""
        check_k(self.k)
        check_temperature(self.temperature)
        check_kept(self.sinks, self.window, self.min_mass)
        check_flag("fallback", self.fallback)
        check_choice("mass", self.mass, MASS_KINDS)

    def check_fallback(self, n_key: int) -> None:
        """ValueError if the budget covers this many keys and that is not allowed."""
        check_fallback("k", self.k, n_key, allowed=self.fallback, remedy="fallback=on")

    def with_values(self, values: dict[str, Any]) -> Settings:
        """These, with some fields changed; unknown names are refused with the list of the known ones."""
        known = [field.name for field in fields(self)]
        if unknown := [name for name in values if name not in known]:
            raise ValueError(f"there is no option {unknown[0]!r}; the options are {', '.join(known)}")
        return replace(self, **values)

    def with_text(self, text: str) -> Settings:
        """These, changed by "name=value,name=value"; blanks around names and values do not count."""
        values: dict[str, Any] = {}
        for pair in text.split(","):
            name, equals, value = (part.strip() for part in pair.partition("="))
            if not equals:
                raise ValueError(f"{pair!r} is no setting: settings are name=value, separated by commas")
            values[name] = _parse(name, value)
        return self.with_values(values)


def _parse(name: str, text: str) -> object:
    """The value that the text stands for; a text that is none stays one, which the check of its field refuses."""
    if name == "fallback":
        return True if text in _ON else False if text in _OFF else text
    if name in ("k", "sinks", "window") and re.fullmatch(r"-?\d+", text, re.ASCII):
        return int(text)
    if name in ("temperature", "min_mass"):
        try:
            return float(text)
        except ValueError:
            return text
    return text
