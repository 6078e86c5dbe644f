"""`kyara demo`: one whole job on an episode of our own drawing, measured against its ground truth."""

from kyara_cli.demo.command import demo

__all__ = ["demo"]
