"""What a cluster did, from Ray's own records: its nodes, the tries at each run, and how many were at work or waiting when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
from rich.table import Table

from tests.scaling.cluster import Cluster

TASK = "_train"
"""The task of the trainer's `ray_job`."""
MARGIN_S = 3.0


@dataclass(frozen=True)
class Node:
    """A worker node's life, in seconds since the timeline began."""

    id: str
    came: float
    went: float | None
    why: str


@dataclass(frozen=True)
class Try:
    """One attempt of Ray at a run."""

    run: str
    node: str | None
    asked: float
    began: float | None
    ended: float | None
    good: bool


@dataclass
class Timeline:
    """The records, and what the test did beside them."""

    nodes: list[Node]
    tries: list[Try]
    submitted: list[float] = field(default_factory=list)
    """When each run was given to Ray."""
    marks: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, cluster: Cluster, began: float) -> "Timeline":
        """All that Ray knows so far. `began` is a time in seconds since the epoch."""

        def since(milliseconds: float | None) -> float | None:
            return milliseconds / 1000 - began if milliseconds else None

        nodes = [
            Node(each["node_id"], each["start_time_ms"] / 1000 - began, since(each["end_time_ms"]), each["state_message"] or "")
            for each in cluster.nodes()
        ]
        tries = [
            Try(
                run=each["task_id"],
                node=each["node_id"],
                asked=each["creation_time_ms"] / 1000 - began,
                began=since(each["start_time_ms"]),
                ended=since(each["end_time_ms"]),
                good=each["state"] == "FINISHED",
            )
            for each in cluster.tasks(TASK)
        ]
        return cls(sorted(nodes, key=lambda node: node.came), sorted(tries, key=lambda each: (each.began or 1e9, each.asked)))

    def at(self, time: float) -> tuple[int, int, int, int]:
        """Nodes, runs at work, runs that wait, runs that are done."""
        nodes = sum(node.came <= time and (node.went is None or time < node.went) for node in self.nodes)
        begun = [each for each in self.tries if each.began is not None and each.began <= time]
        running = sum(each.ended is None or time < each.ended for each in begun)
        done = sum(each.good and each.ended is not None and each.ended <= time for each in begun)
        return nodes, running, sum(each <= time for each in self.submitted) - running - done, done

    def rows(self) -> list[tuple[float, tuple[int, int, int, int]]]:
        """Every time at which one of the four numbers changed, with all of them."""
        times = {*self.submitted, *(node.came for node in self.nodes), *(node.went for node in self.nodes)}
        times |= {moment for each in self.tries for moment in (each.began, each.ended)}
        rows: list[tuple[float, tuple[int, int, int, int]]] = [(0.0, self.at(0.0))]
        for time in sorted(time for time in times if time is not None):
            if self.at(time) != rows[-1][1]:
                rows.append((time, self.at(time)))
        return rows

    def waves(self, until: float) -> int:
        """Most runs one after another up to a time: each of them began after the one before it had ended."""
        depth = 0
        depths: list[tuple[float, int]] = []
        for each in self.tries:
            if each.began is not None and each.ended is not None and each.began < until:
                mine = 1 + max((before for ended, before in depths if ended <= each.began), default=0)
                depths.append((each.ended, mine))
                depth = max(depth, mine)
        return depth

    def table(self) -> Table:
        """The rows, to print."""
        table = Table("s", "nodes", "running", "queued", "done", "")
        marks = sorted((time, name) for name, time in self.marks.items())
        for time, numbers in self.rows():
            while marks and marks[0][0] <= time:
                at, name = marks.pop(0)
                table.add_row(f"{at:.1f}", *map(str, self.at(at)), name)
            table.add_row(f"{time:.1f}", *map(str, numbers), "")
        return table

    def draw(self, path: Path) -> None:
        """A picture: above, each node's life and the runs on it; below, how many were at work and waiting."""
        figure, (above, below) = plt.subplots(2, sharex=True, figsize=(11, 6.5), height_ratios=(3, 2), layout="constrained")
        runs = {each: number for number, each in enumerate(dict.fromkeys(each.run for each in self.tries), 1)}
        end = self.rows()[-1][0] + MARGIN_S
        for row, node in enumerate(self.nodes):
            went = end if node.went is None else node.went
            above.barh(row, went - node.came, left=node.came, height=0.8, color="#e3e3e3", edgecolor="#8a8a8a")
            for each in self._on(node):
                assert each.began is not None
                ended = end if each.ended is None else each.ended
                colour = "#4c78a8" if each.good else "#d9534f"
                above.barh(row, ended - each.began, left=each.began, height=0.55, color=colour, edgecolor="white")
                above.text(
                    (each.began + ended) / 2, row, f"run {runs[each.run]}", ha="center", va="center", color="white", size=8
                )
        above.set_yticks(range(len(self.nodes)), [f"node {number}" for number in range(1, len(self.nodes) + 1)])
        above.invert_yaxis()
        above.set_title("Nodes (grey, while they are there) and the runs on them (red: lost with its node)", loc="left", size=10)
        times = [time for time, _ in self.rows()] + [end]
        values = [numbers for _, numbers in self.rows()]
        for place, (name, colour) in enumerate([("nodes", "#8a8a8a"), ("running", "#4c78a8"), ("queued", "#f0a030")]):
            line = [numbers[place] for numbers in values]
            below.step(times, [*line, line[-1]], where="post", label=name, color=colour, linewidth=2, alpha=0.85)
        for name, time in self.marks.items():
            for axes in (above, below):
                axes.axvline(time, color="black", linestyle=":", linewidth=1)
            below.text(time, below.get_ylim()[1], f" {name}", va="top", size=8)
        below.legend(loc="upper center", frameon=False)
        below.set_xlabel("seconds")
        below.set_ylabel("how many")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
        plt.close(figure)

    def _on(self, node: Node) -> Sequence[Try]:
        return [each for each in self.tries if each.node == node.id and each.began is not None]
