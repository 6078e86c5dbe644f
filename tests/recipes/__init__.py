"""Recipes tried from their YAML to the losses of a training."""
