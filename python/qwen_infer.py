"""Runs a model, with full or with exact top-k attention; --help lists the options.

    python qwen_infer.py --use_top_k_attention --top_k_attention_k 32 --prompt "What is a closure?"

A script beside the package of that name, which does all the work: `import qwen_infer` always means the package, as
Python looks for packages first.
"""

try:
    from qwen_infer.command_line import main
except ImportError as error:  # nothing was built yet
    raise SystemExit(f"error: {error}") from None

if __name__ == "__main__":
    raise SystemExit(main())
