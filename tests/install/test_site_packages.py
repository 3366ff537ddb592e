"""What `pip install` puts into site-packages: the install component "python" of the build, without the build itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from elf import unmet_needs
from installation import install, mentions


@pytest.fixture(scope="module")
def site_packages(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the native modules and the libraries that come with them."""
    folder = tmp_path_factory.mktemp("site-packages")
    install(bin_dir.parent, "--component", "python", "--prefix", folder)
    return folder


def loaded_by(module: str, site_packages: Path) -> dict[str, Path]:
    """The shared libraries in a process that imports the module, by name."""
    script = f"import sys, {module}; print(open('/proc/self/maps').read())"
    variables = {**os.environ, "PYTHONPATH": str(site_packages)}
    result = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True)
    paths = {line.split(maxsplit=5)[5] for line in result.stdout.splitlines() if ".so" in line}
    return {path.name: path for path in map(Path, paths)}


@pytest.mark.parametrize("module", ["_topk", "_qwen_engine"])
def test_modules_load_the_libraries_that_came_with_them(
    module: str, site_packages: Path, bin_dir: Path, repository: Path
) -> None:
    loaded = loaded_by(module, site_packages)
    for name in ("libhwy.so.1", "libgomp.so.1"):
        assert loaded[name] == site_packages / "qwen_infer" / "lib" / name
    assert not [
        path for path in loaded.values() if path.is_relative_to(bin_dir) or path.is_relative_to(repository / "build")
    ]


def test_modules_bring_what_other_machines_may_lack(site_packages: Path) -> None:
    assert unmet_needs(site_packages, from_elsewhere=set()) == []


def test_no_file_names_folders_of_the_machine_that_built_it(site_packages: Path, foreign_paths: list[Path]) -> None:
    assert mentions(site_packages, foreign_paths) == []
