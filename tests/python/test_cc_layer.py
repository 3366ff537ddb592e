"""The layer in C++ and the one in Python give the same numbers, and take each other's weights and configuration."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bounded_layer import Problem, Solution, solve
from torch import Tensor, nn

from top_k_attention import TopKAttention, TopKAttentionConfig

safetensors = pytest.importorskip("safetensors.torch")

BATCH, QUERIES, KEYS, EMBED, HEADS = 2, 17, 29, 24, 4


@pytest.fixture(scope="module")
def run_layer(bin_dir: Path) -> Path:
    """The C++ layer on files; tests/layer/run_layer.cc says which."""
    path = bin_dir.parent / "tests" / "run_layer"
    assert path.exists(), f"{path} is missing: build it with ./test.sh --only build"
    return path


def make_layer(**options: Any) -> TopKAttention:  # noqa: ANN401
    """With scores of about 1 and biases that are not 0."""
    layer = TopKAttention(EMBED, HEADS, **{"k": 5, "mass": "exact", **options})
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.2)
    return layer


def make_problem(layer: TopKAttention, *, cross: bool = False, masked: bool = False, long: bool = False) -> Problem:
    """Random; a masked one has a key that no query of a sequence sees, and a query that sees no key."""
    problem = Problem(torch.randn(BATCH, QUERIES, EMBED), torch.randn(BATCH, QUERIES, EMBED))
    cross = cross or long
    n_key = 200 if long else KEYS if cross else QUERIES
    if cross:
        key, value = torch.randn(BATCH, n_key, layer.kdim), torch.randn(BATCH, n_key, layer.vdim)
        problem = replace(problem, key=key, value=value)
    if masked:
        mask = torch.randn(BATCH, HEADS, QUERIES, n_key)
        mask = mask.masked_fill(torch.rand(mask.shape) < 0.2, -torch.inf)
        mask[0, :, 3] = -torch.inf
        padding = torch.zeros(BATCH, n_key, dtype=torch.bool)
        padding[1, 6:9] = True
        problem = replace(problem, mask=mask, padding=padding)
    return problem


def in_cc(program: Path, layer: TopKAttention, problem: Problem, folder: Path) -> tuple[dict[str, Tensor], Any]:
    """Results and statistics of the C++ layer with the parameters and settings of this one."""
    names = ("embed_dim", "num_heads", "num_kv_heads", "kdim", "vdim", "causal", "sinks", "window")
    shape = {name: getattr(layer, name) for name in names}
    shape |= {"bias": layer.in_proj_bias is not None, "exact_mass": layer.mass == "exact"}
    config = TopKAttentionConfig(k=layer.k, temperature=layer.temperature, use_sparse=layer.use_sparse)
    inputs = {
        "query": problem.query,
        "key": problem.key,
        "value": problem.value,
        "grad_output": problem.grad_output,
        "key_padding_mask": None if problem.padding is None else problem.padding.float(),
        "attn_mask": problem.mask,
    }
    weights, given, results = (folder / f"{name}.safetensors" for name in ("weights", "given", "results"))
    safetensors.save_file(layer.state_dict(), weights)
    safetensors.save_file({name: x for name, x in inputs.items() if x is not None}, given)
    run = subprocess.run(
        [program, json.dumps(shape), config.to_json(), weights, given, results],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return safetensors.load_file(results), json.loads(run.stdout)


def in_python(layer: TopKAttention, problem: Problem) -> dict[str, Tensor]:
    """The same of the Python layer, by the names of the C++ one's results."""
    inputs = {
        name: x.clone().requires_grad_()
        for name in ("query", "key", "value")
        if (x := getattr(problem, name)) is not None
    }
    mask = None if problem.mask is None else problem.mask.flatten(0, 1)
    out = layer(**inputs, key_padding_mask=problem.padding, attn_mask=mask)
    parameters = dict(layer.named_parameters())
    gradients = torch.autograd.grad(out, [*inputs.values(), *parameters.values()], problem.grad_output)
    by_name = dict(zip([*inputs, *parameters], gradients, strict=True))
    if "in_proj_weight" in by_name:
        by_name |= zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), by_name.pop("in_proj_weight").chunk(3))
    names = {"in_proj_bias": "in_bias", "out_proj.weight": "out_weight", "out_proj.bias": "out_bias"}
    results = {f"grad_{names.get(name, name.replace('_proj', ''))}": x for name, x in by_name.items()}
    return {"output": out.detach()} | results


def distances(ours: dict[str, Tensor], theirs: dict[str, Tensor], solution: Solution) -> dict[str, float]:
    """By name, the largest distance of two results, in bounds of what either may be from the right one."""
    assert ours.keys() == theirs.keys() == solution.results.keys()
    found = {}
    for name, right in solution.results.items():
        # A bound of 0 is that of a number which nothing adds to: exactly 0 on both sides.
        off = (ours[name].double() - theirs[name].double()).abs() / right.bound.clamp(min=1e-300)
        found[name] = off.nan_to_num(nan=torch.inf).max().item()
        # Tight enough to tell a wrong key, though all errors are taken to add up.
        assert right.bound.max() < 0.01 * right.value.abs().max()
    return found


CASES: dict[str, tuple[dict[str, Any], dict[str, bool]]] = {
    "self-attention": ({}, {}),
    "causal": ({"causal": True}, {}),
    "causal after cached keys": ({"causal": True}, {"cross": True}),
    "without bias": ({"bias": False}, {}),
    "all keys": ({"k": 1000}, {}),
    "k by what a row sees": ({"k": "auto", "causal": True}, {"long": True}),
    "temperature": ({"temperature": 0.7}, {}),
    "masks": ({}, {"masked": True}),
    "masks, causal, sparse": ({"causal": True, "use_sparse": True}, {"masked": True}),
    "sinks and window": ({"k": 3, "sinks": 2, "window": 3, "causal": True}, {}),
    "grouped heads": ({"num_kv_heads": 2, "causal": True}, {}),
    "one KV head, other sizes of key and value": (
        {"num_kv_heads": 1, "kdim": 10, "vdim": 14},
        {"cross": True, "masked": True},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layers_in_cc_and_python_give_the_same_numbers(name: str, run_layer: Path, tmp_path: Path) -> None:
    options, problem_options = CASES[name]
    torch.manual_seed(list(CASES).index(name))
    layer = make_layer(**options)
    problem = make_problem(layer, **problem_options)
    solution = solve(layer, problem)
    assert not solution.in_doubt, "another seed is needed: rounding decides which keys are kept"
    theirs, their_stats = in_cc(run_layer, layer, problem, tmp_path)
    # Each side may be as far from the right result as the error analysis of all its operations in f32 says: two bounds.
    off = distances(in_python(layer, problem), theirs, solution)
    assert max(off.values()) <= 2, off

    stats = layer.get_memory_stats()
    for mass in ("mean_mass", "min_mass"):
        assert their_stats.pop(mass) == pytest.approx(stats[mass], abs=2 * solution.mass_bound)
    assert their_stats == {name: stats[name] for name in their_stats}


def test_one_key_less_in_cc_is_noticed(run_layer: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = make_layer()
    problem = make_problem(layer)
    ours, solution = in_python(layer, problem), solve(layer, problem)
    layer.k -= 1
    theirs, _ = in_cc(run_layer, layer, problem, tmp_path)
    off = distances(ours, theirs, solution)
    # All but the bias of the output depends on which keys are kept.
    assert min(x for name, x in off.items() if name != "grad_out_bias") > 2, off
