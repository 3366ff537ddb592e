#!/usr/bin/env bash
# Makes .venv with the pinned build tools, with `test` as argument also the formatters, linters and pytest of test.sh, and
# with `python` also what the Python packages are built and tested with (torch: 0.8 GB). Quick if it is there.
# PYTHON=... names another interpreter than python3.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

group="${1:-build}"
needs=9  # the second number of the oldest Python
case "$group" in
  build) files=(build) ;;
  test) files=(build test) ;;
  python) files=(build test python) needs=10 ;;
  *) die "usage: make_venv.sh [build|test|python]" "$EXIT_USAGE" ;;
esac

python="$(command -v "${PYTHON:-python3}")" || die "${PYTHON:-python3} was not found: install Python 3.$needs or later"
python_version="$("$python" -c "import sys; print(sys.version_info >= (3, $needs), sys.version)")"
[[ "$python_version" == True* ]] || die "$python is too old, Python 3.$needs or later is needed: ${python_version#False }"

# A marker says that pip is at work; if it is found at the start, pip was killed and the environment may be broken in
# ways that pip does not see.
marker="$VENV_DIR/.installing"

# Debian splits ensurepip off into python3-venv. Where it is missing, the interpreter's own pip does as well.
create_venv() {
  rm -rf "$VENV_DIR"
  mkdir "$VENV_DIR"
  touch "$marker"
  if "$python" -c 'import ensurepip' 2>/dev/null; then
    run_logged venv "$python" -m venv "$VENV_DIR"
  else
    run_logged venv "$python" -m venv --without-pip "$VENV_DIR" &&
      run_logged venv-pip "$python" -m pip --python "$VENV_DIR/bin/python" --disable-pip-version-check install pip
  fi
}

stamp="$VENV_DIR/.installed-$group"
requirements=("${files[@]/#/$ROOT/scripts/requirements/}")
requirements=("${requirements[@]/%/.txt}")
wanted="$(cat "${requirements[@]}" <(printf '%s' "$python_version") | digest)"

if [[ -f "$stamp" && "$(<"$stamp")" == "$wanted" && ! -e "$marker" ]] && "$VENV_DIR/bin/python" -c '' 2>/dev/null; then
  exit
fi
if [[ -e "$marker" ]] || ! "$VENV_DIR/bin/python" -m pip --version >/dev/null 2>&1; then
  create_venv || die "the Python environment $VENV_DIR could not be made with $python"
fi
touch "$marker"
run_logged "pip-$group" "$VENV_DIR/bin/python" -m pip install --disable-pip-version-check --no-input \
  "${requirements[@]/#/--requirement=}" || die "pip could not install the tools of ${requirements[*]}"
printf '%s\n' "$wanted" >"$stamp"
rm "$marker"
