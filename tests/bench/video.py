"""`make bench-video`: how fast video is worked on beside a peer that does the same, in one run, on one machine.

Each row is the median of several runs of each side, taken in turn, and their ratio (above 1: Kyara is faster). The table goes
to out/bench-video/results.json too. Words after the command choose rows: `key_frames`, `figures`, `clustering`.
"""

import sys
from pathlib import Path

from tests.bench.clustering import clustering
from tests.bench.figures import figures
from tests.bench.key_frames import key_frames
from tests.bench.rows import report

if __name__ == "__main__":
    report((key_frames, figures, clustering), sys.argv[1:], Path("out/bench-video"))
