"""A run on several of Ray's workers, by Ray Train: it places them together, connects them, and begins again when one dies.

It knows nothing of checkpoints. The run keeps its own in the store, and goes on from the last one whoever begins it.
"""

import tempfile
from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from kyara_rayjobs import RunReport, run_reported
from kyara_trainer.ranks import PeerLostError, Ranks

GRADIENTS_S = 1800
"""Longest wait for the gradients of another rank that has just said that it has them."""


def train_on_workers(argument: dict[str, Any]) -> None:
    """Have the run done, and wait for it. Raises Ray's TrainingFailedError when workers have died too often."""
    resources = {"CPU": argument["num_cpus"], "GPU": argument["num_gpus"]}
    # Ray Train wants a folder that all workers see, for checkpoints; there are none in it, so that nobody else has to.
    with tempfile.TemporaryDirectory() as folder:
        TorchTrainer(
            _train_rank,
            train_loop_config=argument,
            torch_config=TorchConfig(timeout_s=GRADIENTS_S),
            scaling_config=ScalingConfig(
                num_workers=argument["workers"],
                use_gpu=argument["num_gpus"] > 0,
                resources_per_worker={name: amount for name, amount in resources.items() if amount},
            ),
            run_config=RunConfig(
                name=argument["submission"],
                storage_path=folder,
                failure_config=FailureConfig(max_failures=argument["retries"]),
            ),
        ).fit()


def _train_rank(argument: dict[str, Any]) -> None:
    # Imported in the workers only: who waits for them needs no models.
    from kyara_trainer.run import train_dataset
    from kyara_trainer.task import Task

    ranks = Ranks.joined()
    cards = argument["num_gpus"] * ranks.count
    report = RunReport.open({**argument, "num_gpus": cards}, silent=not ranks.leads)

    def work() -> dict[str, Any]:
        return ranks.together(lambda: train_dataset(Task.from_json(argument), report, ranks))

    run_reported(report, argument, work, not_reported=PeerLostError)
