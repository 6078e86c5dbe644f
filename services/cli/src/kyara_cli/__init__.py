"""Kyara's command line."""
