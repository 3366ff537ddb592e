#!/usr/bin/env bash
# Installs what is missing of the system packages: the compiler and Highway, and with `test` as argument also what
# test.sh needs. Through apt as root or with passwordless sudo; else prints the one line to run and ends with code 3.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

group="${1:-build}"
[[ "$group" == build || "$group" == test ]] || die "usage: install_packages.sh [build|test]" "$EXIT_USAGE"

MIN_GCC=11  # the first with the C++20 library parts that we use

has_header() {
  g++ -std=c++20 -fsyntax-only -x c++ - <<<"#include <$1>" 2>/dev/null
}

has_compiler() {
  command -v gcc >/dev/null && command -v g++ >/dev/null && (($(g++ -dumpversion | cut -d . -f 1) >= MIN_GCC))
}

# The interpreter makes environments with ensurepip or, without it, with its own pip: one of them is enough.
has_venv() {
  "${PYTHON:-python3}" -c 'import venv, ensurepip' 2>/dev/null || "${PYTHON:-python3}" -c 'import venv, pip' 2>/dev/null
}

# For the native module of the Python packages.
has_python_headers() {
  "${PYTHON:-python3}" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' 2>/dev/null
}

# For qwen-infer chat.
has_line_editing() {
  has_header histedit.h
}

missing_packages() {
  has_compiler || echo g++
  has_header hwy/highway.h || echo libhwy-dev
  has_venv || echo python3-venv
  if [[ "$group" == test ]]; then
    has_header gtest/gtest.h || echo libgtest-dev
    has_header benchmark/benchmark.h || echo libbenchmark-dev
    has_header eigen3/Eigen/Core || echo libeigen3-dev
    has_header nlohmann/json.hpp || echo nlohmann-json3-dev
    has_python_headers || echo python3-dev
    has_line_editing || echo libedit-dev
    command -v pkg-config >/dev/null || echo pkg-config
  fi
}

# What a part of the program or of its tests needs that is left out without it.
optional_packages() {
  [[ "$group" == test ]] || has_line_editing || echo libedit-dev
  if [[ "$group" == test && "$(uname -m)" == x86_64 ]] && ! command -v aarch64-linux-gnu-g++ >/dev/null; then
    echo g++-aarch64-linux-gnu
  fi
  # The web page is tested in a browser.
  if [[ "$group" == test ]] && ! { command -v chromium && command -v chromedriver; } >/dev/null; then
    printf '%s\n' chromium chromium-driver
  fi
}

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 \
    --quiet --yes "$@"
}

apt_install() {
  # An installation that was killed half-way has to be finished first.
  [[ -z "$(dpkg --audit)" ]] || "${as_root[@]}" dpkg --configure -a
  apt update && apt install --no-install-recommends "$@"
}

mapfile -t missing < <(missing_packages)
mapfile -t optional < <(optional_packages)

if [[ "$(id -u)" == 0 ]]; then
  as_root=(env)
  can_install=true
elif sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
  can_install=true
else
  as_root=()
  can_install=false
fi
command -v apt-get >/dev/null || can_install=false

if ((${#missing[@]} > 0)) && [[ "$can_install" == false ]]; then
  die "these packages are missing and cannot be installed without root: ${missing[*]}
Run this line, then start again (on other systems than Debian: install what corresponds to them):
    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" "$EXIT_MISSING"
fi
if ((${#missing[@]} > 0)); then
  printf '      installing %s\n' "${missing[*]}" >&2
  run_logged apt apt_install "${missing[@]}" || die "apt-get could not install ${missing[*]}"
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]} == 0)) || die "apt-get installed its packages, but these still cannot be used: ${missing[*]}"
fi
if ((${#optional[@]} > 0)) && [[ "$can_install" == true ]]; then
  printf '      installing %s (optional)\n' "${optional[*]}" >&2
  # One by one: not every system has all of them.
  for package in "${optional[@]}"; do
    run_logged apt-optional apt_install "$package" || printf '      %s is not available, going on without\n' "$package" >&2
  done
fi
