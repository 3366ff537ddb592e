"""Profiles: settings that `qwen-infer tune` measured for one model. The engine reads them by itself."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FORMAT = "qwen-infer profile 1"
_FORMAT_NAME = "qwen-infer profile "
_LARGEST_FILE = 1 << 22  # bytes; as the engine has it


@dataclass(frozen=True)
class Profile:
    """What a profile says.

    Args:
        model: name of the model's file that it was made for.
        settings: in the engine's form, "k=128,k@0=212".
    """

    model: str
    settings: str

    def plain(self, name: str) -> str | None:
        """The value of a setting for all layers that the profile does not single out; None if it has none."""
        pairs = (item.partition("=") for item in self.settings.split(","))
        return next((value.strip() for key, _, value in pairs if key.strip() == name), None)


def check_profile_path(path: str | os.PathLike[str]) -> str:
    """A name that the engine's settings string can hold."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"profile={path!r} must be a path, as str or Path")
    text = os.fspath(path)
    if not text or "," in text:
        raise ValueError(f"profile={text!r} must be the name of a file, without commas")
    return text


def read_profile(path: str | os.PathLike[str]) -> Profile:
    """Reads a profile; ValueError, naming the file and what is wrong, if it is none."""
    name = check_profile_path(path)
    with Path(name).open("rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise ValueError(f"the profile {name} has more than {_LARGEST_FILE} bytes")
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the profile {name} is not valid JSON: is it complete? ({error})") from error
    found = fields.get("format") if isinstance(fields, dict) else None
    if not isinstance(found, str) or not found.startswith(_FORMAT_NAME):
        raise ValueError(f"{name} is no profile")
    if found != _FORMAT:
        raise ValueError(
            f"the profile {name} has the format {found!r}, and this program reads {_FORMAT!r}: make it anew with "
            "qwen-infer tune"
        )
    model = fields.get("model")
    return Profile(
        model=_text(name, "model.name", model.get("name") if isinstance(model, dict) else None),
        settings=_text(name, "settings", fields.get("settings")),
    )


def _text(name: str, field: str, value: Any) -> str:  # noqa: ANN401 - of a file
    if not isinstance(value, str):
        raise ValueError(f"the profile {name} has no text in {field!r}")
    return value
