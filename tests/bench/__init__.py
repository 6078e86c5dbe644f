"""Benchmarks: Kyara's own work beside a peer's, in one run."""
