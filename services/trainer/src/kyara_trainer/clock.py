"""Where a run's time goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Where the time goes: seconds by phase since the run began."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside as `name`."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin

    def shares(self) -> dict[str, float]:
        """Each phase's part of the time counted, `time_<phase>` in 0..1."""
        total = sum(self.seconds.values()) or 1.0
        return {f"time_{name}": seconds / total for name, seconds in self.seconds.items()}
