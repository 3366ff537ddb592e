#!/usr/bin/env bash
# Sets up everything for demo.sh: system packages, .venv, llama.cpp's source, the model, the build. Each step is skipped
# when its result is there; a run that was interrupted goes on where it stopped.
# usage: setup.sh [--help]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case "${1:-}" in
  -h | --help)
    cat <<'END'
usage: scripts/setup.sh

Installs what is missing (apt as root or with passwordless sudo, else it prints the line to run), makes .venv, fetches
llama.cpp's source and a model, builds build/bin/qwen-infer, and measures from how many keys on top-k attention is faster
here. Environment:

  QWEN_INFER_MODEL=FILE.gguf   use this model, fetch none
  QWEN_INFER_LLAMA_CPP=DIR     use this checkout of llama.cpp, fetch none
  QWEN_INFER_CACHE=DIR         where downloads are kept (default: ~/.cache/qwen-infer)
  QWEN_INFER_CPU=all           CPU modules for every processor generation (default: native, this machine's)
  QWEN_INFER_JOBS=N            compilers at once (default: one per core, fewer with little memory)
  PYTHON=python3.12            interpreter for .venv (default: python3)
END
    exit
    ;;
  '') ;;
  *) die "unknown argument '$1'; see scripts/setup.sh --help" "$EXIT_USAGE" ;;
esac

scripts="$ROOT/scripts"
# What the user names is looked at before minutes are spent.
check_jobs
model_step="model (480 MB)"
if [[ -n "${QWEN_INFER_MODEL:-}" ]]; then
  "$scripts/fetch_model.sh" >/dev/null
  model_step="model"
fi
step 1/6 "system packages"
"$scripts/install_packages.sh" build
step_done
step 2/6 "Python environment with CMake and Ninja (50 MB)"
"$scripts/make_venv.sh" build
step_done
step 3/6 "llama.cpp source (74 MB)"
llama_cpp="$("$scripts/fetch_llama_cpp.sh")"
step_done "$llama_cpp"
step 4/6 "$model_step"
model="$("$scripts/fetch_model.sh")"
step_done "$model"
step 5/6 "build (minutes the first time)"
"$scripts/build.sh" release
step_done "$BUILD_DIR/bin/qwen-infer"
# Once for each build: its kernels may be faster than those before. Without it defaults are used.
step 6/6 "crossover of full and top-k attention (seconds)"
crossovers="$CACHE_DIR/crossover.json"
if [[ "$crossovers" -nt "$BUILD_DIR/bin/qwen-infer" ]] || run_logged calibrate "$BUILD_DIR/bin/qwen-infer" calibrate; then
  step_done "$crossovers"
else
  step_done "not measured: defaults are used"
fi
