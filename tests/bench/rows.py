"""What a benchmark's row holds, and how its times are taken."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

RUNS = 3


@dataclass(frozen=True)
class Row:
    """What was measured: the medians of both sides in seconds, and what else is worth knowing."""

    what: str
    kyara_s: float
    peer: str
    peer_s: float
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer."""
        return self.peer_s / self.kyara_s


def medians(*works: Callable[[], object]) -> list[float]:
    """Seconds that each takes, once warm: the median of RUNS runs, taken in turn."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(1 + RUNS):
        for work, times in zip(works, taken, strict=True):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
    return [statistics.median(times[1:]) for times in taken]
