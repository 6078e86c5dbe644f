"""A run without Ray, as its worker does it, and what it left."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import FileSet, Store, get_json, open_store
from kyara_rayjobs import RunReport, refs_of
from kyara_trainer.run import train_dataset
from kyara_trainer.task import Task
from kyara_trainer.train import Training


class InterruptedRunError(Exception):
    """Stands for a process that dies."""


def run(
    tmp_path: Path,
    models: Path,
    params: TrainParams,
    dataset: ArtifactRef,
    key: str = "trainer/a",
    before: ArtifactRef | None = None,
) -> dict[str, Any]:
    """One run, as Ray's worker does it; `before` is the checkpoint of the part that was before."""
    url = f"file://{tmp_path}/store"
    task = Task(url, str(models / params.base_model), params, dataset, threads=1, checkpoint=before)
    return train_dataset(Task.from_json(task.to_json()), RunReport(open_store(url), key, "one"))


def files_of(store: Store, result: dict[str, Any], output: str = "saves") -> FileSet:
    """A file set among the outputs."""
    return FileSet.load(store, refs_of(result["outputs"])[output])


def tensors_of(store: Store, result: dict[str, Any], output: str = "saves") -> dict[str, torch.Tensor]:
    """What is in the last file of a file set."""
    return load(store.get(files_of(store, result, output).files[-1].digest))


def log_of(store: Store, result: dict[str, Any]) -> dict[str, Any]:
    """The log."""
    return get_json(store, refs_of(result["outputs"])["log"])


def interrupted(
    monkeypatch: pytest.MonkeyPatch, dies_at: int, tmp_path: Path, models: Path, params: TrainParams, dataset: ArtifactRef
) -> tuple[dict[str, Any], int]:
    """The result of a run that died before step `dies_at` (counted from 0) was done, and where its second try began."""
    step, began = Training.step, []

    def step_until_death(self: Training) -> float:
        if self.state.step == dies_at:
            raise InterruptedRunError
        return step(self)

    def noted_step(self: Training) -> float:
        began.append(self.state.step)
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", step_until_death)
        with pytest.raises(InterruptedRunError):
            run(tmp_path, models, params, dataset, "trainer/interrupted")
        patch.setattr(Training, "step", noted_step)
        return run(tmp_path, models, params, dataset, "trainer/interrupted"), began[0]
