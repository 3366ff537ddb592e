#!/usr/bin/env bash
# Configures build/ if its settings have changed, then builds the given targets (default: what demo.sh needs).
# usage: build.sh [release|dev] [TARGET...]
# CMAKE_ARGS adds settings; QWEN_INFER_CPU=all builds ggml's modules for every processor; QWEN_INFER_JOBS sets how many
# compilers run at once.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

preset="${1:-release}"
[[ "$preset" == release || "$preset" == dev ]] || die "usage: build.sh [release|dev] [TARGET...]" "$EXIT_USAGE"
check_jobs
targets=("${@:2}")
((${#targets[@]} > 0)) || targets=(qwen-infer ggml-topk)

export PATH="$VENV_DIR/bin:$PATH"
llama_cpp="$("$ROOT/scripts/fetch_llama_cpp.sh")"

settings=(-DQWEN_INFER_LLAMA_CPP="$llama_cpp" -DQWEN_INFER_CPU="${QWEN_INFER_CPU:-native}")
read -r -a extra <<<"${CMAKE_ARGS:-}"
settings+=("${extra[@]}")

# Everything that configuring depends on and that CMake itself does not watch.
fingerprint() {
  printf '%s\n' "$ROOT" "${settings[@]}"
  cmake --version | head -n 1
  "${CXX:-g++}" --version | head -n 1
  sha256sum "$ROOT/CMakePresets.json"
  grep -m 1 '^flags' /proc/cpuinfo || true
}
stamp="$BUILD_DIR/.configured"
wanted="$(fingerprint | digest)"
have=''
if [[ -f "$stamp" && -f "$BUILD_DIR/build.ninja" ]]; then
  have="$(<"$stamp")"
fi

# A dev build has everything that a release build has, so the demo leaves it as it is.
if [[ "$have" != "dev $wanted" && "$have" != "$preset $wanted" ]]; then
  mkdir -p "$BUILD_DIR"
  rm -f "$stamp"
  cd "$ROOT" || exit
  if ! run_logged configure cmake --preset "$preset" "${settings[@]}" 2>/dev/null; then
    # Caches of another checkout, generator or compiler are refused; start with an empty one.
    run_logged configure cmake --fresh --preset "$preset" "${settings[@]}" || die "CMake could not configure $BUILD_DIR"
  fi
  printf '%s %s\n' "$preset" "$wanted" >"$stamp"
fi

# A compiler needs up to 2 GB here: fewer at once on machines with little memory.
jobs="${QWEN_INFER_JOBS:-}"
if [[ -z "$jobs" ]]; then
  jobs="$(nproc)"
  memory_jobs=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 2000000))
  ((jobs <= memory_jobs)) || jobs=$((memory_jobs > 0 ? memory_jobs : 1))
fi
run_logged build cmake --build "$BUILD_DIR" --parallel "$jobs" --target "${targets[@]}" ||
  die "the build failed: $LOG_DIR/build.log"
