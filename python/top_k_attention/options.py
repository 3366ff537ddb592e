"""What the operators need to know besides tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields

from top_k_attention.budget import AUTO, MOST_AUTO

LARGEST_MASS_BUDGET = 4096  # that min_mass may ask for; as in the kernel library


@dataclass(frozen=True)
class AttentionOptions:
    """Settings of a call, checked; the names are those of `top_k_attention`."""

    top_k: int  # or AUTO
    scale: float  # temperature is in it already
    causal: bool = False  # query i sees keys 0 .. n_key - n_query + i
    sinks: int = 0
    window: int = 0
    min_mass: float = 0.0
    mass: str = "off"
    activation: str = "softmax"
    dropout_p: float = 0.0
    softcap: float = 0.0  # scores become softcap * tanh(score / softcap) before a mask is added; 0: as they are

    def arguments(self) -> tuple[int | float | bool | str, ...]:
        """In the order of the fields, as operators take them."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @property
    def largest_budget(self) -> int:
        """Keys that a row can keep besides sinks and window, whatever it sees."""
        most = MOST_AUTO if self.top_k == AUTO else self.top_k
        return max(most, LARGEST_MASS_BUDGET) if self.min_mass > 0 else most

    def selection_size(self, rows: int, keys: int) -> int:
        """Most entries of a selection; it depends on shapes alone."""
        return rows * min(keys, self.largest_budget + self.sinks + self.window)

    def for_kernel(self) -> dict[str, str]:
        """As the kernel library's table of options spells them."""
        k = "auto" if self.top_k == AUTO else self.top_k
        options = {"k": k, "sinks": self.sinks, "window": self.window, "mass": self.mass}
        if self.min_mass > 0:
            # Rows that need more keep the largest budget, with and without gradients alike.
            options |= {"min_mass": self.min_mass, "max_k": self.largest_budget, "dense_beyond_max_k": False}
        return {name: str(value).lower() for name, value in options.items()}
