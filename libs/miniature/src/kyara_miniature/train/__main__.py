"""`python -m kyara_miniature.train {detector,ccip,tagger,clip,base,all}`: train the miniature models from nothing."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from kyara_miniature.train.base import base
from kyara_miniature.train.ccip import ccip
from kyara_miniature.train.clip import clip
from kyara_miniature.train.detector import detector
from kyara_miniature.train.tagger import tagger

MAKERS: dict[str, Callable[[Path, Path, bool], None]] = {
    "detector": detector,
    "ccip": ccip,
    "tagger": tagger,
    "clip": clip,
    "base": base,
}
"""In this order: the base model is measured by the tagger."""
MODELS = Path(__file__).resolve().parents[1] / "models"


def main() -> None:
    """Train what the command line names and write it into the package's models folder, or into `--out`."""
    parser = argparse.ArgumentParser(prog="python -m kyara_miniature.train", description=__doc__)
    parser.add_argument("model", choices=[*MAKERS, "all"])
    parser.add_argument("--out", type=Path, default=MODELS, help="the folder that holds one folder a model")
    parser.add_argument("--work", type=Path, help="keeps the drawn pictures for the next run; default: thrown away")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU cores to use")
    parser.add_argument("--smoke", action="store_true", help="a few steps only, to see that everything runs")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as scratch:
        for name in MAKERS if asked.model == "all" else [asked.model]:
            print(name, flush=True)
            MAKERS[name](asked.out / name, asked.work or Path(scratch), asked.smoke)


if __name__ == "__main__":
    main()
