"""The trainer's own run in a process of its own, as Ray's worker does it, for `make bench-train`.

`python -m tests.bench.trained STORE DATASET RESOLUTION BATCH STEPS RANK COMPILE [MODULE ...]`, DATASET an artifact reference as
JSON, COMPILE 0 or 1.
"""

import os
import sys
import uuid

from google.protobuf import json_format

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import AdapterParams, TrainParams
from kyara_artifacts import open_store
from kyara_inference.catalogue import local_path
from kyara_rayjobs import RunReport
from kyara_trainer.run import train_dataset
from kyara_trainer.task import Task

BASE = "miniature-base"


def main() -> None:
    """Train."""
    url, dataset = sys.argv[1], json_format.Parse(sys.argv[2], ArtifactRef())
    resolution, batch, steps, rank, compiled = map(int, sys.argv[3:8])
    params = TrainParams(
        base_model=BASE, trigger="kyara", output_name="kyara", seed=1,
        unet=AdapterParams(rank=rank, alpha=rank, learning_rate=1e-4, modules=sys.argv[8:]),
        batch_size=batch, steps=steps, saves=1,
        resolution=resolution, buckets=1, bucket_step=16, weight_decay=0.01, max_gradient_norm=1, clip_skip=1, precision="fp32",
        keep_tag_order=True, torch_compile=bool(compiled),
    )  # fmt: skip
    report = RunReport(open_store(url), f"trainer/{uuid.uuid4().hex}", "bench")
    train_dataset(Task(url, str(local_path(BASE)), params, dataset, os.cpu_count() or 1), report)


if __name__ == "__main__":
    main()
