"""Runs diffusers' LoRA script: `python -m tests.bench.diffusers_lora SCRIPT OPTIONS`.

The script takes its pictures' transforms from torchvision, whose published build wants CUDA's libraries for its operators. Where
they are not, the two operators that its import asks for are declared here; the transforms need none.
"""

import runpy
import sys
from pathlib import Path

import torch

if __name__ == "__main__":
    if not torch.cuda.is_available():
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    sys.argv = sys.argv[1:]
    sys.path.append(str(Path(sys.argv[0]).resolve().parent))  # where torchvision lies
    runpy.run_path(sys.argv[0], run_name="__main__")
