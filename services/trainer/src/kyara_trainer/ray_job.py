"""What runs on Ray: `python -m kyara_trainer.ray_job <json>`, submitted by the stage.

The entrypoint itself only waits. The training is a Ray task, so that Ray gives it the CPUs and GPUs it needs and
starts it again when its worker dies; it then goes on from the last checkpoint. With several workers it is Ray Train's.
"""

import json
import sys
from typing import Any

import ray

from kyara_rayjobs import RunReport


def main() -> None:
    """Have the task done, and wait for it."""
    argument = json.loads(sys.argv[1])
    # While it waits it holds no graphics card.
    RunReport.open({**argument, "num_gpus": 0}).begin("waiting for a place on Ray")
    ray.init(address="auto", log_to_driver=True)
    if argument["workers"] > 1:
        # Imported only here: it brings torch, which the entrypoint does without.
        from kyara_trainer.distributed import train_on_workers

        train_on_workers(argument)
        return
    task = ray.remote(_train).options(
        num_cpus=argument["num_cpus"], num_gpus=argument["num_gpus"], max_retries=argument["retries"]
    )
    ray.get(task.remote(argument))


def _train(argument: dict[str, Any]) -> None:
    # Imported in the worker only: the entrypoint needs no torch.
    from kyara_rayjobs import run_reported
    from kyara_trainer.run import train_dataset
    from kyara_trainer.task import Task

    report = RunReport.open(argument)
    run_reported(report, argument, lambda: train_dataset(Task.from_json(argument), report))


if __name__ == "__main__":
    main()
