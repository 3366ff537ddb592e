# Shared by the scripts of this folder: paths, messages, downloads that are whole or not there. Source it; it sets traps
# that clean up and changes nothing else.
# shellcheck shell=bash

# All paths are absolute and without symbolic links: CMake compares them literally.
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
BUILD_DIR="$ROOT/build"
VENV_DIR="$ROOT/.venv"
CACHE_DIR="${QWEN_INFER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qwen-infer}"
LOG_DIR="$BUILD_DIR/logs"

# Exit codes: 1 something failed, 2 bad usage, 3 the user has to install something first.
readonly EXIT_USAGE=2 EXIT_MISSING=3
export EXIT_USAGE EXIT_MISSING

die() {
  printf 'error: %s\n' "$1" >&2
  exit "${2:-1}"
}

# check_jobs: refuses a number of compilers that is none, before work is spent.
check_jobs() {
  [[ -z "${QWEN_INFER_JOBS:-}" || "$QWEN_INFER_JOBS" =~ ^[1-9][0-9]{0,3}$ ]] ||
    die "QWEN_INFER_JOBS=$QWEN_INFER_JOBS must be a whole number from 1 to 9999, of compilers at once" "$EXIT_USAGE"
}

# step LABEL TEXT: announces what is being done; finish it with step_done.
step() {
  STEP_STARTED=$SECONDS
  printf '[%s] %s ...\n' "$1" "$2" >&2
}

step_done() {
  printf '      %s (%d s)\n' "${1:-done}" "$((SECONDS - STEP_STARTED))" >&2
}

# What has to be undone when the script ends, also on Ctrl-C and kill.
RUNNING=  # process that run_logged waits for
SCRATCH=  # see lock_cache
clean_up() {
  [[ -z "$RUNNING" ]] || kill "$RUNNING" 2>/dev/null || true
  [[ -z "$SCRATCH" ]] || rm -rf "$SCRATCH"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# run_logged NAME COMMAND...: runs COMMAND with its output in $LOG_DIR/NAME.log and says now and then for how long and
# what its last line is. If it fails, prints the end of the log and returns its exit code.
run_logged() {
  local name=$1 log status=0 started=$SECONDS next every=30 start='' end=$'\n'
  shift
  if [[ -t 2 ]]; then
    every=1 start=$'\r\e[K' end=''
  fi
  mkdir -p "$LOG_DIR"
  log="$LOG_DIR/$name.log"
  "$@" >"$log" 2>&1 </dev/null &
  RUNNING=$!
  next=$((SECONDS + every))
  while kill -0 "$RUNNING" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS >= next)); then
      printf '%s      %4d s: %s%s' "$start" "$((SECONDS - started))" "$(tail -n 1 "$log" | cut -c 1-70)" "$end" >&2
      next=$((SECONDS + every))
    fi
  done
  printf '%s' "$start" >&2
  wait "$RUNNING" || status=$?
  RUNNING=
  if ((status != 0)); then
    printf -- '--- the last lines of %s:\n' "$log" >&2
    tail -n 40 "$log" >&2
    printf -- '---\n' >&2
  fi
  return "$status"
}

# digest: sha256 of standard input, as hexadecimal digits.
digest() {
  sha256sum | cut -d ' ' -f 1
}

# lock_cache: one script at a time works in $CACHE_DIR; what killed ones left behind is removed. The lock is held until
# this process ends. Sets $SCRATCH, a folder on the same file system, so that a rename from it is atomic.
lock_cache() {
  mkdir -p "$CACHE_DIR" || die "cannot make the cache folder $CACHE_DIR: set QWEN_INFER_CACHE to one that is writable"
  CACHE_DIR="$(cd "$CACHE_DIR" && pwd -P)"
  exec {CACHE_LOCK}>"$CACHE_DIR/.lock"
  if ! flock --nonblock "$CACHE_LOCK"; then
    printf '      waiting for another set-up that uses %s\n' "$CACHE_DIR" >&2
    flock "$CACHE_LOCK"
  fi
  SCRATCH="$CACHE_DIR/.scratch"
  rm -rf "$SCRATCH"
  mkdir "$SCRATCH"
}

# need_free_mb MB DIR: stops if the file system of DIR has less space.
need_free_mb() {
  local free
  free="$(df --output=avail -B 1M "$2" | tail -n 1)"
  ((free >= $1)) || die "$2 has $free MB free and $1 MB are needed: make room, or set QWEN_INFER_CACHE elsewhere"
}

# pip_download REQUIREMENT_FILE DIR [NAME] [pip options...]: the lines of the requirement file (only that of NAME, if
# given) into DIR, checked against their hashes by pip before anything in them is used.
pip_download() {
  local file=$1 dir=$2 name=${3:-}
  shift "$(($# < 3 ? $# : 3))"
  mkdir -p "$dir"
  grep -v '^#' "$file" | grep -- "^$name" >"$dir/requirements.txt" || die "$file has no line for '$name'"
  run_logged "download-${name:-all}" "$VENV_DIR/bin/python" -m pip download --no-cache-dir --disable-pip-version-check \
    --no-input --no-deps --require-hashes --dest "$dir" "$@" -r "$dir/requirements.txt"
}
