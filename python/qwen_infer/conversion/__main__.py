"""`python -m qwen_infer.conversion`: as `qwen-infer convert`."""

from qwen_infer.conversion.command_line import main

if __name__ == "__main__":
    raise SystemExit(main())
