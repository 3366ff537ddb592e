#!/usr/bin/env bash
# Prints the folder of llama.cpp's source tree, fetching it into the cache first if it is not there.
# QWEN_INFER_LLAMA_CPP=DIR takes a checkout of yours instead. Needs .venv (scripts/make_venv.sh).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

REQUIREMENT="$ROOT/scripts/requirements/llama-cpp.txt"

check_tree() {
  [[ -f "$1/CMakeLists.txt" && -f "$1/ggml/include/ggml.h" && -f "$1/tools/completion/completion.cpp" ]]
}

if [[ -n "${QWEN_INFER_LLAMA_CPP:-}" ]]; then
  check_tree "$QWEN_INFER_LLAMA_CPP" ||
    die "QWEN_INFER_LLAMA_CPP=$QWEN_INFER_LLAMA_CPP is not a source tree of llama.cpp (no ggml/include/ggml.h in it)"
  (cd "$QWEN_INFER_LLAMA_CPP" && pwd -P)
  exit
fi

lock_cache
version="$(sed -n 's/^llama-cpp-python==\([^ ]*\) .*/\1/p' "$REQUIREMENT")"
hash="$(sed -n 's/.*sha256:\([0-9a-f]\{12\}\).*/\1/p' "$REQUIREMENT")"
target="$CACHE_DIR/llama_cpp_python-$version-$hash"

if [[ ! -d "$target" ]]; then
  need_free_mb 700 "$CACHE_DIR"
  pip_download "$REQUIREMENT" "$SCRATCH/sdist" llama-cpp-python --no-binary llama-cpp-python ||
    die "llama.cpp's source could not be downloaded: is a Python package index reachable?
(Without one: QWEN_INFER_LLAMA_CPP=DIR takes a checkout of llama.cpp that you have.)"
  mkdir "$SCRATCH/tree"
  tar --extract --gzip --no-same-owner --strip-components 1 --directory "$SCRATCH/tree" \
    --file "$SCRATCH/sdist/llama_cpp_python-$version.tar.gz"
  check_tree "$SCRATCH/tree/vendor/llama.cpp" || die "llama-cpp-python $version carries no source of llama.cpp"
  mv --no-target-directory "$SCRATCH/tree" "$target"
fi
printf '%s\n' "$target/vendor/llama.cpp"
