#!/usr/bin/env bash
# Asks a real model a question about a long text, with full attention and with top-k attention; see --help.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/lib.sh"

BUDGET=256           # keys kept per query and head
MIN_TOKENS=8000      # of the text
MAX_ANSWER=160       # tokens
CONTEXT=16384        # room for the text with any vocabulary, the question and the answer
# The answer stands in the first of the modules, thousands of tokens before the question.
QUESTION='Question: In textwrap.py, what are the default width and the default placeholder of TextWrapper?'
QUESTION+=' Answer in one sentence.'

usage() {
  cat <<END
usage: ./demo.sh [--help]

Sets everything up (see scripts/setup.sh --help), then has a language model read source code of Python's standard
library, at least $MIN_TOKENS tokens, and answer a question about it: first with full attention, then with the same
settings and exact top-k attention (k = $BUDGET). Closes with a table of both runs. The first time takes some minutes;
afterwards set-up is skipped.

Environment:
  QWEN_INFER_MODEL=FILE.gguf   use this model instead of fetching Qwen2.5-Coder-0.5B-Instruct (480 MB)
  the other variables of scripts/setup.sh
END
}

case "${1:-}" in
  -h | --help) usage && exit ;;
  '') ;;
  *) die "unknown argument '$1'; see ./demo.sh --help" "$EXIT_USAGE" ;;
esac

results="$BUILD_DIR/demo"
"$ROOT/scripts/setup.sh"
model="$("$ROOT/scripts/fetch_model.sh")"
rm -rf "$results"  # of an earlier demo: no mistaking them for this one's

mkdir -p "$results"
{
  printf 'Read this source code of the Python standard library.\n\n'
  "$VENV_DIR/bin/python" "$ROOT/scripts/long_text.py" "$MIN_TOKENS"
  printf '\n%s\n' "$QUESTION"
} >"$results/prompt.txt"

# answer NAME FLAG...: one run, its answer streamed to the terminal, its report in $results/NAME.json. Verbosity 1 is
# errors and the answer, which ends with empty lines; --no-escape leaves the backslashes of the source code alone.
answer() {
  local name=$1
  shift
  "$BUILD_DIR/bin/qwen-infer" complete --model "$model" --file "$results/prompt.txt" --no-escape \
    --conversation --single-turn --no-display-prompt --ctx-size "$CONTEXT" --predict "$MAX_ANSWER" \
    --temp 0 --seed 1 --threads "$(nproc)" --flash-attn on --verbosity 1 \
    --top_k_attention_stats "$results/$name.json" "$@" </dev/null
}

printf '\nText: %d lines of source code. %s\n' "$(wc -l <"$results/prompt.txt")" "$QUESTION"
printf '\n=== Full attention. Reading the text, about a minute ...\n'
answer full
printf '=== Exact top-k attention, k = %d. Reading the text ...\n' "$BUDGET"
answer top_k --use_top_k_attention --top_k_attention_k "$BUDGET"
"$VENV_DIR/bin/python" "$ROOT/scripts/demo_table.py" "$results/full.json" "$results/top_k.json"
