"""A run on several ranks without Ray: processes of this machine, connected by gloo."""

import multiprocessing
import os
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.distributed as dist

from kyara_rayjobs import RunReport
from kyara_trainer.ranks import Ranks
from kyara_trainer.run import train_dataset
from kyara_trainer.task import Task

ENDS_S = 240.0


def on_ranks(task: Task, key: str, prepare: Callable[[Ranks], None] | None = None, count: int = 2) -> list[Any]:
    """What each rank's run gives, or its error; `prepare` (importable by its name) may change a rank before."""
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    meeting = f"{task.store.removeprefix('file://')}-{key.replace('/', '-')}"
    argument = (answers, task.to_json(), key, meeting, count, prepare)
    processes = [context.Process(target=_rank, args=(rank, *argument), daemon=True) for rank in range(count)]
    for process in processes:
        process.start()
    try:
        found = dict(answers.get(timeout=ENDS_S) for _ in processes)
    except queue.Empty:
        raise TimeoutError("a rank waits for one that has given up") from None
    finally:
        for process in processes:
            process.kill()
    return [found[rank] for rank in range(count)]


def _rank(
    rank: int, answers: Any, task: dict[str, Any], key: str, meeting: str, count: int, prepare: Callable[[Ranks], None] | None
) -> None:
    # An error of `dist` names no address, and gloo takes the host's name for one.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{Path(meeting)}", rank=rank, world_size=count)
    ranks = Ranks.joined()
    report = RunReport.open({**task, "key": key, "submission": "one"}, silent=not ranks.leads)
    try:
        if prepare is not None:
            prepare(ranks)
        answers.put((rank, ranks.together(lambda: train_dataset(Task.from_json(task), report, ranks))))
    except Exception as error:
        answers.put((rank, f"{type(error).__name__}: {error}"))
