"""`python -m qwen_infer`: as python/qwen_infer.py."""

from qwen_infer.command_line import main

if __name__ == "__main__":
    raise SystemExit(main())
