"""Work on many items in threads, in order: what decodes, scales, packs and hashes pictures lets go of Python's lock."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

CORES = min(8, len(os.sched_getaffinity(0)))

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Iterable[T], threads: int = CORES) -> Iterator[R]:
    """`work` of each item, in the order of `items`. No more than `threads` and one are begun ahead of who takes them."""
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[R]] = deque()
        try:
            for item in items:
                begun.append(pool.submit(work, item))
                if len(begun) > threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for each in begun:
                each.cancel()
