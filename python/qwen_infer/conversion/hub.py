"""A name on the Hugging Face hub becomes a folder: the one in the hub's local cache, or a download into that cache."""

from __future__ import annotations

import re
from pathlib import Path

from qwen_infer.conversion.checkpoint import CHECKPOINT_FILES, OTHER_FILES, Checkpoint
from qwen_infer.conversion.disk_space import need_free
from qwen_infer.conversion.packages import not_installed

# owner/name, or the name alone of a few old models; each as the hub allows them.
_NAME = re.compile(r"(?:[A-Za-z0-9_][\w.-]*/)?[A-Za-z0-9_][\w.-]*", re.ASCII)


def may_be_hub_name(text: str) -> bool:
    """Whether the hub could have a model of that name."""
    return _NAME.fullmatch(text) is not None


def checkpoint_of_hub(name: str) -> Checkpoint:
    """The checkpoint of a name on the hub; OSError, with all that was tried, if there is none."""
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import DryRunError, LocalEntryNotFoundError
        from huggingface_hub.utils import tqdm
    except ImportError as error:
        raise not_installed(error) from error

    class Silent(tqdm):
        """No bar for what takes a moment."""

        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **{**options, "disable": True})

    patterns = {"allow_patterns": list(CHECKPOINT_FILES), "ignore_patterns": list(OTHER_FILES)}

    def snapshot(local_files_only: bool) -> Checkpoint:
        folder = snapshot_download(name, local_files_only=local_files_only, **patterns)
        return Checkpoint.open(Path(folder), name.rpartition("/")[2])

    def download() -> Checkpoint:
        files = snapshot_download(name, dry_run=True, tqdm_class=Silent, **patterns)
        need_free(
            Path(constants.HF_HUB_CACHE),
            sum(file.file_size for file in files if file.will_download),
            f"downloading {name}",
            "make room, or set HF_HOME to a folder with more",
        )
        return snapshot(local_files_only=False)

    try:
        return snapshot(local_files_only=True)
    except LocalEntryNotFoundError:
        cached = "it is not there, or only a part of it"
    except OSError as error:
        cached = _first_line(error)
    cause = None
    if constants.is_offline_mode():
        downloaded = "not tried, as HF_HUB_OFFLINE is set"
    else:
        try:
            return download()
        except Exception as error:  # of several libraries, which have no common class
            cause = error.__cause__ if isinstance(error, DryRunError) and error.__cause__ else error
            downloaded = _first_line(cause)
    raise OSError(
        f"there is no file or folder {name!r} here, and it could not be had as the model of that name on the hub:\n"
        f"  the hub's local cache, {constants.HF_HUB_CACHE}: {cached}\n"
        f"  download from {constants.ENDPOINT}: {downloaded}\n"
        "Check the name. Where there is no network, copy the model's folder from another machine and give its path, or "
        "copy that machine's cache, filled by `hf download`, and set HF_HOME"
    ) from cause


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
