"""The parts of the command python/test_top_k_attention.py."""
