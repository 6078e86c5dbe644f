"""`make bench-video`: how fast video is worked on beside a peer that does the same, in one run, on one machine.

Each row is the median of several runs of each side, taken in turn, and their ratio (above 1: Kyara is faster). The table goes
to out/bench-video/results.json too. Words after the command choose rows: `key_frames`, `figures`, `clustering`.
"""

import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.clustering import clustering
from tests.bench.figures import figures
from tests.bench.key_frames import key_frames
from tests.bench.rows import RUNS, Row

OUT = Path("out/bench-video")
ROWS: tuple[Callable[[Path], Iterator[Row]], ...] = (key_frames, figures, clustering)


def main() -> None:
    """Measure every row, print the table, keep the numbers."""
    console = Console()
    wanted = [measure for measure in ROWS if not sys.argv[1:] or measure.__name__ in sys.argv[1:]]
    table = Table("what", "Kyara", "peer", "ratio", "notes", title=f"medians of {RUNS} runs")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="kyara-bench-") as name:
        for row in itertools.chain.from_iterable(measure(Path(name)) for measure in wanted):
            rows.append(row)
            console.print(f"{row.what}: {row.ratio:.2f} ({row.kyara_s:.2f} s, peer {row.peer_s:.2f} s) {row.notes}")
            notes = ", ".join(f"{key} {value}" for key, value in row.notes.items())
            table.add_row(row.what, f"{row.kyara_s:.2f} s", f"{row.peer_s:.2f} s", f"{row.ratio:.2f}", notes)
    console.print(table)
    OUT.mkdir(parents=True, exist_ok=True)
    found = [{**asdict(row), "ratio": round(row.ratio, 3)} for row in rows]
    (OUT / "results.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
