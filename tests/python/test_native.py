"""The native module itself: memory is safe whoever calls it, and its threads are torch's."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import _topk
import numpy as np
import pytest
from conftest import BUILD, REPOSITORY

from top_k_attention.source_tree import why_no_kernels

x = np.zeros((2, 4, 6, 8), np.float32)


def forward(**changes: Any) -> Any:  # noqa: ANN401 - a tuple of the module's
    arguments = {"q": x, "k": x, "v": x, "out": np.empty_like(x), "options": {"k": "3"}}
    return _topk.attention(**{**arguments, **changes})


def backward(**changes: Any) -> None:  # noqa: ANN401
    _, offsets, keys, weights = forward(select=True)
    arrays = {name: np.empty_like(x) for name in ("d_q", "d_k", "d_v")}
    selection = {"row_offsets": offsets, "keys": keys, "weights": weights}
    selection = {name: np.from_dlpack(array).copy() for name, array in selection.items()}
    _topk.attention_backward(**{"q": x, "k": x, "v": x, "d_out": x, **selection, **arrays, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": x[:1]}, "batch"),
        ({"v": x[:, :2]}, "heads"),
        ({"k": x[..., :4]}, "last dimension"),
        ({"out": np.empty((2, 4, 6, 7), np.float32)}, "out"),
        ({"out": np.empty((2, 4, 5, 8), np.float32)}, "out"),
        ({"mask": np.zeros((1, 1, 6, 5), np.float32)}, "mask"),
        ({"mask": np.zeros((3, 1, 6, 6), np.float32)}, "mask"),
        ({"mask": np.zeros((1, 3, 6, 6), np.float32)}, "mask"),
        ({"q": x.astype(np.float64)}, "q must be float32"),
        ({"k": x.swapaxes(2, 3).copy().swapaxes(2, 3)}, "contiguous"),
        ({"options": {"k": "0"}}, "k=0"),
        ({"options": {"kk": "1"}}, "kk"),
        ({"activation": "tanh"}, "tanh"),
        ({"dropout_p": 1.0}, "dropout_p"),
        ({"scale": float("nan")}, "scale"),
    ],
)
def test_forward_refuses_what_it_would_read_or_write_outside(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        forward(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"d_out": x[:, :, :5]},
        {"d_q": np.empty((2, 4, 6, 7), np.float32)},
        {"d_k": np.empty((2, 4, 5, 8), np.float32)},
        {"d_v": np.empty((1, 4, 6, 8), np.float32)},
        {"row_offsets": np.zeros(0, np.int64)},
        {"row_offsets": np.zeros(5, np.int64)},
        {"row_offsets": np.full(2 * 4 * 6 + 1, 10**6)},
        {"row_offsets": np.concatenate([np.zeros(48, np.int64), np.full(1, -1)])},
        {"keys": np.full(2 * 4 * 6 * 3, 6, np.int32)},
        {"keys": np.full(2 * 4 * 6 * 3, -1, np.int32)},
        {"keys": np.zeros(4, np.int32)},
        {"weights": np.zeros(4, np.float32)},
        {"d_scores": np.empty(4, np.float32)},
    ],
)
def test_backward_refuses_what_it_would_read_or_write_outside(changes: dict[str, Any]) -> None:
    backward()
    with pytest.raises(ValueError, match=r"."):
        backward(**changes)


def test_arrays_that_are_read_may_be_read_only_and_results_may_not() -> None:
    frozen = x.copy()
    frozen.flags.writeable = False
    forward(q=frozen, k=frozen, v=frozen)
    with pytest.raises(TypeError):
        forward(out=frozen)


def test_it_names_the_instruction_sets_of_this_machine() -> None:
    assert _topk.simd_targets()


def test_torch_and_the_kernel_library_share_one_pool_of_threads() -> None:
    script = """
        import os
        import torch
        from top_k_attention import top_k_attention
        torch.set_num_threads(2)
        x = torch.randn(1, 8, 512, 64)
        for _ in range(3):
            torch.nn.functional.gelu(x)  # elementwise: on OpenMP's threads
        before = len(os.listdir("/proc/self/task"))
        for _ in range(3):
            top_k_attention(x, x, x, top_k=8)
        assert len(os.listdir("/proc/self/task")) == before
    """
    path = f"{BUILD / 'bin'}:{REPOSITORY / 'python'}"
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, env={"PYTHONPATH": path})


def test_more_threads_than_any_machine_has_are_not_asked_for() -> None:
    script = """
        import numpy as np
        import _topk
        import torch
        from top_k_attention import operators  # shares torch's threads
        x = np.ones((1, 4, 8, 8), np.float32)
        out = np.empty_like(x)
        _topk.attention(x, x, x, out, options={"k": "2"}, n_threads=2**31 - 1)
        assert (out == 1).all()
    """
    path = f"{BUILD / 'bin'}:{REPOSITORY / 'python'}"
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, env={"PYTHONPATH": path}, timeout=60)


def test_a_library_that_is_not_loaded_shares_no_threads() -> None:
    assert not _topk.share_openmp_of("/nowhere/libtorch_cpu.so")


def test_kernels_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_no_kernels() is None
    monkeypatch.delattr(_topk, "INTERFACE")
    reason = why_no_kernels()
    assert reason is not None
    assert "of another version than the Python files" in reason
    assert "install the package again, pip install ." in reason
