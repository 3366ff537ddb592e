"""Settings of top-k attention, shared by the layer and by model inference."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import Any

from top_k_attention.arguments import check_flag, check_k, check_temperature
from top_k_attention.budget import Budget, budget_for
from top_k_attention.profile import check_profile_path, read_profile
from top_k_attention.recommendations import recommended_k

_USE_CASES = {"chat": 512, "qa": 512, "document": 2048, "long_context": 4096}  # tokens


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, of whose fields none stands twice: readers differ in which one counts."""
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the field {twice[0]!r} stands twice")
    return dict(pairs)


def _read_k(text: str) -> Budget:
    return "auto" if text == "auto" else int(text)


@dataclass(frozen=True)
class TopKAttentionConfig:
    """How much of each row top-k attention keeps.

    Args:
        k: keys kept per query and head (the budget), or "auto": more where a row sees more, see `budget_for`.
        temperature: scores are divided by it.
        use_sparse: return attention weights as `torch.sparse_csr`, so that nothing of n x n numbers ever exists.
        fallback_full_attention: with at least as many as n keys to keep, attention is full; if off, that is an error.
        enable_memory_tracking: count what was kept and saved.
        profile: a file with settings of single layers of one model, see `from_profile`.

    Raises:
        TypeError, ValueError: naming the field, its value and what is allowed.
    """

    k: Budget = 32
    temperature: float = 1.0
    use_sparse: bool = False
    fallback_full_attention: bool = True
    enable_memory_tracking: bool = True
    profile: str | None = None

    def __post_init__(self) -> None:
        """Checks every field, and makes numbers of other types, such as numpy's, those of Python."""
        check_k(self.k)
        object.__setattr__(self, "k", self.k if self.k == "auto" else int(self.k))
        object.__setattr__(self, "temperature", check_temperature(self.temperature))
        for name in ("use_sparse", "fallback_full_attention", "enable_memory_tracking"):
            check_flag(name, getattr(self, name))
        if self.profile is not None:
            object.__setattr__(self, "profile", check_profile_path(self.profile))

    def k_for(self, sequence_length: int) -> int:
        """The budget of a row that sees so many keys: k, or what "auto" stands for there."""
        return budget_for(sequence_length) if self.k == "auto" else self.k

    @classmethod
    def recommended(cls, use_case_or_length: str | int) -> TopKAttentionConfig:
        """Recommended settings for a length in tokens, or a use case ("chat", "qa", "document", "long_context").

        From measurements, which recommended.json has and README shows: of those tried, the k that keeps the fewest keys
        and changes perplexity by less than 0.5 % for sure. Lengths that were not measured get k="auto". A use case
        stands for a length: 512 tokens ("chat", "qa"), 2,048 ("document") and 4,096 ("long_context").
        """
        if isinstance(use_case_or_length, str):
            if use_case_or_length not in _USE_CASES:
                raise ValueError(
                    f"there is no use case {use_case_or_length!r}; there are: {', '.join(_USE_CASES)}, "
                    "or a length in tokens"
                )
            use_case_or_length = _USE_CASES[use_case_or_length]
        if isinstance(use_case_or_length, bool) or not isinstance(use_case_or_length, int):
            raise TypeError(f"a use case (str) or a length in tokens (int) is needed, not {use_case_or_length!r}")
        if use_case_or_length < 1:
            raise ValueError(f"sequence_length={use_case_or_length} must be at least 1")
        return cls(k=recommended_k(use_case_or_length))

    @classmethod
    def from_profile(cls, path: str | os.PathLike[str], **fields: Any) -> TopKAttentionConfig:  # noqa: ANN401
        """The settings of a profile that `qwen-infer tune` made, for `Qwen3Inference` with the model it was made for.

        `fields` are those of the class and win over the profile: k=64, for example, is for all layers then. Another
        model is refused when it is loaded.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no profile, or of another version; the message names it.
        """
        profile = read_profile(path)
        for name, read in (("k", _read_k), ("temperature", float)):
            if name not in fields and (value := profile.plain(name)) is not None:
                try:
                    fields[name] = read(value)
                except ValueError as error:
                    raise ValueError(f"the profile {os.fspath(path)} has {name}={value}, which is no number") from error
        return cls(**fields, profile=os.fspath(path))

    def refuse_profile_in(self, use: str) -> None:
        """ValueError if there is a profile, for a use that knows no layers of a model."""
        if self.profile is not None:
            raise ValueError(
                f"profile={self.profile!r} is of the layers of one model in Qwen3Inference, and {use} knows none: "
                f"TopKAttentionConfig(k={self.k!r}) has the budget alone"
            )

    def to_dict(self) -> dict[str, Any]:
        """All fields by name; without the profile if there is none."""
        fields = dataclasses.asdict(self)
        if self.profile is None:
            del fields["profile"]
        return fields

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TopKAttentionConfig:
        """The opposite of `to_dict`; missing fields keep their defaults, unknown ones are refused."""
        if not isinstance(fields, dict):
            raise TypeError(f"a dict of fields is needed, not {type(fields).__name__}")
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := [name for name in fields if name not in known]:
            raise ValueError(f"there is no field {unknown[0]!r}; there are: {', '.join(known)}")
        return cls(**fields)

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> TopKAttentionConfig:
        """The opposite of `to_json`."""
        try:
            fields = json.loads(text, object_pairs_hook=_without_doubles)
        except json.JSONDecodeError as error:
            raise ValueError(f"this is no JSON: {error}") from error
        return cls.from_dict(fields)
