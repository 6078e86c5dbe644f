"""Several ranks of one run: the same LoRA as one alone trains, and what befalls one befalls all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Store
from kyara_rayjobs.report import read_record
from kyara_trainer import run as runs
from kyara_trainer.draws import Batch, Draws
from kyara_trainer.ranks import Ranks
from kyara_trainer.sd15 import StableDiffusion15
from kyara_trainer.settings import TrainerSettings
from kyara_trainer.task import Task
from kyara_trainer.train import Training
from services.trainer.tests.rank_runs import on_ranks
from services.trainer.tests.trainer_runs import log_of, run, tensors_of

pytestmark = pytest.mark.timeout(600)  # each rank is a process of its own, which has torch to import


def task_of(tmp_path: Path, models: Path, params: TrainParams, dataset: ArtifactRef) -> Task:
    return Task(f"file://{tmp_path}/store", str(models / params.base_model), params, dataset, threads=1)


def test_ranks_train_what_one_alone_trains_within_rounding(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    """Six pictures in batches of five: shares are three and two, and one and none. One is held back."""
    params.buckets, params.batch_size, params.validation_share = 1, 5, 0.2
    alone = run(tmp_path, models, params, dataset, "trainer/alone")
    found, nothing = on_ranks(task_of(tmp_path, models, params, dataset), "trainer/ranks")
    assert nothing == {}, "only the leader gives a result"
    expected, got = log_of(store, alone), log_of(store, found)
    assert np.allclose(got["loss"], expected["loss"], rtol=1e-4)
    assert np.allclose([v["loss"] for v in got["validation"]], [v["loss"] for v in expected["validation"]], rtol=1e-4)
    weights = tensors_of(store, alone)
    assert all(torch.allclose(value, weights[name], rtol=1e-4, atol=2e-4) for name, value in tensors_of(store, found).items())


def test_memory_that_runs_out_on_one_makes_smaller_passes_on_all(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.buckets, params.batch_size = 1, 6
    alone = run(tmp_path, models, params, dataset, "trainer/alone")
    found, _ = on_ranks(task_of(tmp_path, models, params, dataset), "trainer/ranks", _little_memory_on_the_second)
    log = log_of(store, found)
    assert log["pass_size"] == 1
    assert np.allclose(log["loss"], log_of(store, alone)["loss"], rtol=1e-4)


def test_a_loss_that_is_not_finite_on_one_stops_all_alike(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.buckets, params.batch_size = 1, 4
    ends = on_ranks(task_of(tmp_path, models, params, dataset), "trainer/ranks", _nan_on_the_second)
    assert all("the loss became nan at step 6, on " in end and "the last good save, of step 4" in ends[0] for end in ends)
    assert read_record(store, "trainer/ranks", "left"), "what was good is kept"


@pytest.mark.parametrize("fails", ["_fails_before_it_trains", "_fails_on_the_last_step", "_leader_fails_at_the_end"])
def test_an_error_of_one_ends_all_with_its_words(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams, fails: str
) -> None:
    ends = on_ranks(task_of(tmp_path, models, params, dataset), "trainer/ranks", globals()[fails])
    assert all("the cellar is flooded" in end for end in ends)


def test_workers_share_no_card() -> None:
    with pytest.raises(ValueError, match="NCCL"):
        TrainerSettings(store="file:///nowhere", workers=2, num_gpus=0.5)
    assert TrainerSettings(store="file:///nowhere", workers=4, num_gpus=1).gpus == 4


def _little_memory_on_the_second(ranks: Ranks) -> None:
    predict = StableDiffusion15.predict

    def predict_in_little_memory(self: StableDiffusion15, noisy: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(noisy) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predict(self, noisy, *rest)

    if not ranks.leads:
        StableDiffusion15.predict = predict_in_little_memory  # pyright: ignore[reportAttributeAccessIssue]


def _nan_on_the_second(ranks: Ranks) -> None:
    batch = Draws.batch

    def broken(self: Draws, step: int) -> Batch:
        drawn = batch(self, step)
        if step == 5:
            drawn.latents.fill_(float("nan"))
        return drawn

    if not ranks.leads:
        Draws.batch = broken


def _fails_before_it_trains(ranks: Ranks) -> None:
    if not ranks.leads:
        runs.load_base = _flooded


def _fails_on_the_last_step(ranks: Ranks) -> None:
    step = Training.step

    def flooded_at_last(self: Training) -> float:
        return _flooded() if self.state.step == 7 else step(self)

    if not ranks.leads:
        Training.step = flooded_at_last


def _leader_fails_at_the_end(ranks: Ranks) -> None:
    if ranks.leads:
        runs.store_outputs = _flooded


def _flooded(*_: object) -> Any:
    raise OSError("the cellar is flooded")
