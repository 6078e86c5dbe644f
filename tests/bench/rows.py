"""What a benchmark's row holds, and how its times are taken."""

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

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


def report(measures: Sequence[Callable[[Path], Iterator[Row]]], wanted: Sequence[str], out: Path) -> None:
    """Measure every row whose function is named in `wanted` (all when empty), print the table, keep the numbers in `out`."""
    console = Console()
    table = Table("what", "Kyara", "peer", "ratio", "notes", title=f"medians of {RUNS} runs")
    chosen = [measure for measure in measures if not wanted or measure.__name__ in wanted]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="kyara-bench-") as name:
        for row in itertools.chain.from_iterable(measure(Path(name)) for measure in chosen):
            rows.append(row)
            console.print(f"{row.what}: {row.ratio:.2f} ({row.kyara_s:.2f} s, peer {row.peer_s:.2f} s) {row.notes}")
            notes = ", ".join(f"{key} {value}" for key, value in row.notes.items())
            table.add_row(row.what, f"{row.kyara_s:.2f} s", f"{row.peer_s:.2f} s", f"{row.ratio:.2f}", notes)
    console.print(table)
    out.mkdir(parents=True, exist_ok=True)
    found = [{**asdict(row), "ratio": round(row.ratio, 3)} for row in rows]
    (out / "results.json").write_text(json.dumps(found, indent=2) + "\n")
