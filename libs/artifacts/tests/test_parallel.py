"""Work in threads keeps its order, stays a little ahead and no more, and fails where it failed."""

import threading
import time

import pytest

from kyara_artifacts import side_by_side


def test_results_come_in_the_order_of_the_items() -> None:
    def work(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    assert list(side_by_side(work, range(20), 4)) == [number * number for number in range(20)]


def test_only_a_few_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = side_by_side(lambda number: number, items(), 2)
    assert next(results) == 0
    assert len(taken) <= 4


def test_threads_work_at_once() -> None:
    meeting = threading.Barrier(3, timeout=10)
    assert list(side_by_side(lambda _: meeting.wait() >= 0, range(3), 3)) == [True] * 3


def test_an_error_comes_in_its_place() -> None:
    def work(number: int) -> float:
        return 1 / (number - 2)

    results = side_by_side(work, range(5), 2)
    assert [next(results), next(results)] == [-0.5, -1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
