"""`make bench-web`: how fast a crawl is worked on beside a peer that does the same, in one run, on one machine.

Each row is the median of several runs of each side, taken in turn, and their ratio (above 1: Kyara is faster). The table goes
to out/bench-web/results.json too. Words after the command choose rows: `crawling`, `curating`.
"""

import sys
from pathlib import Path

from tests.bench.crawling import crawling
from tests.bench.curating import curating
from tests.bench.rows import report

if __name__ == "__main__":
    report((crawling, curating), sys.argv[1:], Path("out/bench-web"))
