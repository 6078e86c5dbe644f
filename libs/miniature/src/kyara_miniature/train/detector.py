"""Training of the miniature detector: persons, half bodies, heads and faces in scenes and frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kyara_miniature.train.detector_data import draw_batch, training_scenes
from kyara_miniature.train.detector_loss import assign, detection_loss
from kyara_miniature.train.detector_net import CLASSES, STRIDES, Detector, YoloOutput, decode
from kyara_miniature.train.detector_quality import measure, measure_episode
from kyara_miniature.train.export import parameters, write_card, write_onnx
from kyara_miniature.train.loop import Plan, has_fast_bfloat16, train

SEED = 20
INPUT = 512
"""Side of the square that frames are scaled to (the `imgsz` of the file)."""
SHAPES = ((16, 192, True), (6, 384, False), (16, 192, True), (4, 512, False))
"""Batches by turns: windows, side in px, whether near figures; small ones are cheap, whole frames true to use."""


def detector(out: Path, work: Path, smoke: bool) -> None:
    """Train and write `out/model.onnx` and `out/card.json`; scenes are kept in `work`."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    scenes = training_scenes(work, 24 if smoke else 6000)
    network = Detector().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    fast = has_fast_bfloat16()

    def loss_of(step: int) -> Tensor:
        count, size, near = SHAPES[step % len(SHAPES)]
        images, boxes = draw_batch(scenes, rng, count, size, near=near)
        corners, roles = assign(boxes, size, size)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            maps = network(images.contiguous(memory_format=torch.channels_last))
        decoded, logits = decode(maps)
        return detection_loss(decoded, logits, torch.from_numpy(corners), torch.from_numpy(roles))

    trained = train(network, Plan(steps=6 if smoke else 5000, rate=1.5e-3), loss_of)
    write_onnx(
        YoloOutput(network),
        torch.zeros(1, 3, 256, 256),
        out / "model.onnx",
        inputs={"images": {0: "b", 2: "h", 3: "w"}},
        outputs={"output0": {0: "b", 2: "n"}},
        metadata={
            "names": str(dict(enumerate(CLASSES))),
            "imgsz": f"[{INPUT}, {INPUT}]",
            "stride": str(max(STRIDES)),
        },
    )
    quality = measure(out / "model.onnx", scenes=8 if smoke else 300)
    quality["episode"] = measure_episode(out / "model.onnx", seconds=10 if smoke else 60)
    write_card(
        out,
        {
            "what": "detector of the miniature world: person, halfbody, head, face",
            "seed": SEED,
            "parameters": parameters(network),
            "scenes": len(scenes),
            "steps": trained.steps,
            "training_minutes": trained.minutes,
            "final_loss": trained.final_loss,
            "quality": quality,
        },
    )
