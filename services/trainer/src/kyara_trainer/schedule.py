"""What happens at a step, as a function of the seed and the step alone.

A run that goes on from a checkpoint therefore sees what an uninterrupted one would have seen: there is no
generator whose state could be lost, and no epoch counter that could be wrong.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from kyara_trainer.buckets import Bucket


def derived_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for one purpose, independent of those for other `names`."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def save_steps(steps: int, saves: int) -> list[int]:
    """Steps (counted from 1) after which the LoRA is saved: evenly spaced, the last one included."""
    return sorted({max(1, round(steps * number / saves)) for number in range(1, saves + 1)})


class DataOrder:
    """Which pictures each step sees. An epoch sees each picture once, in batches of one bucket each."""

    def __init__(self, buckets: Sequence[Bucket], batch_size: int, seed: int) -> None:
        self._buckets = buckets
        self._batch_size = batch_size
        self._seed = seed
        self.batches_per_epoch = sum(-(-len(bucket.members) // batch_size) for bucket in buckets)
        self._epoch = -1
        self._plan: list[tuple[int, ...]] = []

    def batch(self, step: int) -> tuple[int, ...]:
        """Numbers of the pictures of `step` (counted from 0), all of one bucket."""
        epoch, place = divmod(step, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._plan = epoch, self._plan_of(epoch)
        return self._plan[place]

    def _plan_of(self, epoch: int) -> list[tuple[int, ...]]:
        rng = np.random.default_rng(derived_seed(self._seed, "order", epoch))
        batches: list[tuple[int, ...]] = []
        for bucket in self._buckets:
            order = [bucket.members[number] for number in rng.permutation(len(bucket.members))]
            batches += [tuple(order[first : first + self._batch_size]) for first in range(0, len(order), self._batch_size)]
        return [batches[number] for number in rng.permutation(len(batches))]
