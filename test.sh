#!/usr/bin/env bash
# Builds and tests everything; see --help.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/lib.sh"

usage() {
  cat <<'END'
usage: ./test.sh [--quick] [--only CHECK[:FILTER]]...

Sets up what the tests need (like ./demo.sh), then runs all checks and ends with a line 'N passed, N failed': formatters
and linters count one each, GoogleTest and pytest one per test. Logs: build/test-logs.

  --quick              leaves out the model and what needs it
  --only CHECK[:FILTER]
                       runs only this check (may be repeated), one of
      clang-format  ruff-check  ruff-format  shellcheck  clang-tidy
      build         everything, warnings in our code are errors
      unit          GoogleTest programs; FILTER as in --gtest_filter
      asan  tsan    those of the kernel library and the layer under AddressSanitizer + UndefinedBehaviorSanitizer, ThreadSanitizer
      aarch64       compiles the kernel library for 64-bit Arm, if a cross compiler is at hand
      pytest        end-to-end tests and those of the Python packages; FILTER as in pytest -k
  -h, --help           this text

Environment: see scripts/setup.sh --help.
END
}

CHECKS=(clang-format ruff-check ruff-format shellcheck build clang-tidy unit asan tsan aarch64 pytest)
# llama.cpp's unmodified programs that the end-to-end tests drive.
LLAMA_TARGETS=(llama-bench llama-completion llama-perplexity llama-server test-backend-ops)

quick=false
only=()
filters=()
while (($# > 0)); do
  case "$1" in
    -h | --help) usage && exit ;;
    --quick) quick=true ;;
    --only)
      (($# > 1)) || die "--only needs a check; see ./test.sh --help" "$EXIT_USAGE"
      shift
      [[ " ${CHECKS[*]} " == *" ${1%%:*} "* ]] || die "there is no check '${1%%:*}'; there are: ${CHECKS[*]}" "$EXIT_USAGE"
      only+=("${1%%:*}")
      [[ "$1" != *:* ]] || filters+=("$1")
      ;;
    *) die "unknown argument '$1'; see ./test.sh --help" "$EXIT_USAGE" ;;
  esac
  shift
done

wanted() {
  ((${#only[@]} == 0)) || [[ " ${only[*]} " == *" $1 "* ]]
}

# filter_of CHECK: what stands after its colon.
filter_of() {
  local filter
  for filter in "${filters[@]}"; do
    [[ "${filter%%:*}" != "$1" ]] || printf '%s' "${filter#*:}"
  done
}

check_jobs
cd "$ROOT"
color=no  # asked here: behind tee no program sees a terminal
[[ ! -t 1 ]] || color=yes
LOG_DIR="$BUILD_DIR/test-logs"
rm -rf "$LOG_DIR"
mkdir -p "$LOG_DIR/cases"
jobs="${QWEN_INFER_JOBS:-$(nproc)}"

# check NAME COMMAND...: one check that passes or fails as a whole.
check() {
  local name=$1 outcome=passed
  shift
  step "$name" "running"
  run_logged "$name" "$@" || outcome=failed
  step_done "$outcome"
  printf '%s\t%s\n' "$name" "$outcome" >>"$LOG_DIR/cases/checks.tsv"
  [[ "$outcome" == passed ]]
}

our_files() {
  local folders=() folder
  for folder in include src apps bench eval inspect examples python tests; do
    [[ ! -d "$folder" ]] || folders+=("$folder")
  done
  find "${folders[@]}" -type f \( -name '*.h' -o -name '*.cc' -o -name '*.c' \) | sort
}

our_scripts() {
  find scripts tests -name '*.sh' | sort
  printf '%s\n' demo.sh test.sh .ci/run
}

clang_tidy() {
  # Only files that the build compiles: the compilation database tells how. Kernels are read once and not for each of
  # Highway's instruction sets: it is the same source.
  "$VENV_DIR/bin/python" scripts/compiled_files.py "$BUILD_DIR/compile_commands.json" "$ROOT" |
    xargs --max-procs "$jobs" --max-args 1 "$VENV_DIR/bin/clang-tidy" -p "$BUILD_DIR" --quiet \
      --extra-arg=-DHWY_COMPILE_ONLY_STATIC
}

# Address-space randomisation of recent kernels is more than older sanitizer runtimes cope with.
without_aslr() {
  if setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
    setarch "$(uname -m)" --addr-no-randomize "$@"
  else
    "$@"
  fi
}

# unit_tests NAME FOLDER: the GoogleTest programs of a build; each leaves its results as JSON.
unit_tests() {
  local name=$1 folder=$2 filter
  filter="$(filter_of "$name")"
  mkdir -p "$LOG_DIR/cases/$name"
  GTEST_OUTPUT="json:$LOG_DIR/cases/$name/" GTEST_FILTER="${filter:-*}" GTEST_BRIEF=1 \
    ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=second_deadlock_stack=1 \
    without_aslr "$VENV_DIR/bin/ctest" --test-dir "$folder" --label-regex unit --parallel "$jobs" \
    --output-on-failure --no-tests=error --output-junit "$LOG_DIR/cases/$name.ctest.xml"
}

# streamed NAME COMMAND...: like run_logged, but shows the output as it comes.
streamed() {
  local name=$1 status=0
  shift
  step "$name" "running"
  "$@" 2>&1 </dev/null | tee "$LOG_DIR/$name.log" || status=$?
  step_done "exit code $status"
  # Counted as a failure unless the failed cases that it reported say it already.
  printf '%s\t%s\n' "$name" "$status" >>"$LOG_DIR/cases/suites.tsv"
}

sanitized() {
  local name=$1
  cmake --preset "$name" && cmake --build --preset "$name" --parallel "$jobs"
}

aarch64() {
  # Highway's headers are the same for all architectures, but /usr/include as a whole is not.
  local include="$BUILD_DIR/aarch64-include"
  mkdir -p "$include"
  cp -r /usr/include/hwy "$include/"
  cmake --preset aarch64 -DQWEN_INFER_HIGHWAY_INCLUDE="$include" && cmake --build --preset aarch64 --parallel "$jobs"
}

pytest() {
  local arguments=(--color="$color" --durations=10 --junitxml "$LOG_DIR/cases/pytest.xml")
  [[ "$quick" == false ]] || arguments+=(-m "not model")
  [[ -z "$(filter_of pytest)" ]] || arguments+=(-k "$(filter_of pytest)")
  "$VENV_DIR/bin/python" -m pytest "${arguments[@]}"
}

needs_build=false
for name in build clang-tidy unit pytest; do
  ! wanted "$name" || needs_build=true
done

step set-up "system packages"
scripts/install_packages.sh test
step_done
step set-up "Python environment (build tools, formatters, linters, pytest)"
scripts/make_venv.sh test
step_done
export PATH="$VENV_DIR/bin:$PATH"
if [[ "$needs_build" == true ]]; then
  step set-up "nanobind, numpy, torch and transformers for the Python packages (0.9 GB, more without a CPU build of torch)"
  scripts/make_venv.sh python
  step_done
  step set-up "llama.cpp source"
  scripts/fetch_llama_cpp.sh >/dev/null
  step_done
fi
if wanted pytest && [[ "$quick" == false ]]; then
  step set-up "model"
  scripts/fetch_model.sh >/dev/null
  step_done
fi

mapfile -t files < <(our_files)
mapfile -t shell_scripts < <(our_scripts)
! wanted clang-format || check clang-format clang-format --dry-run --Werror "${files[@]}" || true
! wanted ruff-check || check ruff-check ruff check . || true
! wanted ruff-format || check ruff-format ruff format --check --diff . || true
! wanted shellcheck || check shellcheck shellcheck "${shell_scripts[@]}" || true

built=true
if [[ "$needs_build" == true ]]; then
  check build scripts/build.sh dev all benchmarks "${LLAMA_TARGETS[@]}" || built=false
fi
! wanted clang-tidy || check clang-tidy clang_tidy || true
if wanted unit && [[ "$built" == true ]]; then
  streamed unit unit_tests unit "$BUILD_DIR"
fi
for name in asan tsan; do
  if wanted "$name" && check "$name-build" sanitized "$name"; then
    streamed "$name" unit_tests "$name" "$BUILD_DIR/$name"
  fi
done
if wanted aarch64; then
  if command -v aarch64-linux-gnu-g++ >/dev/null; then
    check aarch64 aarch64 || true
  else
    printf 'no aarch64-linux-gnu-g++: the cross-compilation for Arm is left out\n' >&2
  fi
fi
if wanted pytest && [[ "$built" == true ]]; then
  streamed pytest pytest
fi

"$VENV_DIR/bin/python" scripts/count_results.py "$LOG_DIR/cases"
