"""What `pip install` puts into site-packages: the install component "python" of the build, without the build itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BUILD, REPOSITORY


@pytest.fixture(scope="module")
def site_packages(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the native modules and the libraries that come with them."""
    folder = tmp_path_factory.mktemp("site-packages")
    cmake = Path(sys.executable).with_name("cmake")
    command = [cmake, "--install", bin_dir.parent, "--component", "python", "--prefix", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def loaded_by(module: str, site_packages: Path) -> dict[str, Path]:
    """The shared libraries in a process that imports the module, by name."""
    script = f"import sys, {module}; print(open('/proc/self/maps').read())"
    variables = {**os.environ, "PYTHONPATH": str(site_packages)}
    result = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True)
    paths = {line.split(maxsplit=5)[5] for line in result.stdout.splitlines() if ".so" in line}
    return {path.name: path for path in map(Path, paths)}


@pytest.mark.parametrize("module", ["_topk", "_qwen_engine"])
def test_modules_bring_what_other_machines_may_lack(module: str, site_packages: Path) -> None:
    if not list(site_packages.glob(f"{module}.*so")):
        pytest.fail(f"{module} is not installed: build all of {BUILD}")
    loaded = loaded_by(module, site_packages)
    for name in ("libhwy.so.1", "libgomp.so.1"):
        assert loaded[name] == site_packages / "qwen_infer" / "lib" / name
    built = [
        path for path in loaded.values() if path.is_relative_to(BUILD) or path.is_relative_to(REPOSITORY / "build")
    ]
    assert not built
