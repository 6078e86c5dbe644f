"""Many jobs at once, measured."""
