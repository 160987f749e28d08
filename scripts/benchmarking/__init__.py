"""The benchmark suite behind scripts/bench."""
