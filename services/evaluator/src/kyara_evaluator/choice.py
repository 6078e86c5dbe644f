"""The best save: on the character, on obeying prompts, and on not having learnt pictures by heart.

`recscore` is the published rule: the highest RecScore. `balanced` is ours. A save is on the front when no other is at least as
good in all three and better in one (a Pareto front). Of those on it, the one with the highest harmonic mean is chosen, so that no
strength makes up for what is missing, the earliest of those within a hundredth of it: a shorter training draws more freely.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

RULES = ("recscore", "balanced")
EQUAL = 0.01


@dataclass(frozen=True)
class Judged:
    """A save's marks, 0..1 each."""

    step: int
    fidelity: float
    control: float
    """How well it obeys prompts, as a share of how well the base model does; at most 1."""
    own: float
    """1 less the share of previews that are copies or broken, times 1 less what is memorised, times diversity, at most 1."""

    @property
    def marks(self) -> tuple[float, float, float]:
        """All three."""
        return self.fidelity, self.control, self.own

    @property
    def balance(self) -> float:
        """Their harmonic mean."""
        return 0.0 if min(self.marks) <= 0 else len(self.marks) / sum(1 / mark for mark in self.marks)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "balance": self.balance}


def front_of(saves: Sequence[Judged]) -> list[Judged]:
    """Those that no other beats."""
    return [save for save in saves if not any(beats(other, save) for other in saves)]


def beats(one: Judged, other: Judged) -> bool:
    """Whether `one` is as good in everything and better in something."""
    pairs = list(zip(one.marks, other.marks, strict=True))
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def balanced_best(saves: Sequence[Judged]) -> Judged:
    """The save that the rule `balanced` chooses."""
    front = front_of(saves)
    most = max(save.balance for save in front)
    return min((save for save in front if save.balance >= most - EQUAL), key=lambda save: save.step)


def idle_saves(saves: Sequence[Judged]) -> int:
    """How many of the latest saves, in order of their steps, did not move the front: an earlier one is as good in everything."""
    ordered = sorted(saves, key=lambda save: save.step)
    idle = [any(_as_good(other, save) for other in ordered[:place]) for place, save in enumerate(ordered)]
    return len(list(takewhile(bool, reversed(idle))))


def _as_good(one: Judged, other: Judged) -> bool:
    return all(mine >= theirs - EQUAL for mine, theirs in zip(one.marks, other.marks, strict=True))


def reason(save: Judged, best: Judged, saves: Sequence[Judged]) -> str:
    """Why a save was chosen, or was not."""
    if save.step == best.step:
        return f"chosen: balance {save.balance:.2f} of fidelity, control and own pictures"
    better = [other for other in saves if beats(other, save)]
    if better:
        first = best if best in better else max(better, key=lambda other: other.balance)
        return f"step {first.step} is as good in everything and better in {_where(first, save)}"
    weakest = min(zip(save.marks, ("fidelity", "control", "own pictures"), strict=True))
    if save.balance >= best.balance:
        return f"balance {save.balance:.2f} is no more than {EQUAL} above that of the earlier step {best.step}"
    return f"balance {save.balance:.2f}, under {best.balance:.2f} of step {best.step}; weakest in {weakest[1]}, {weakest[0]:.2f}"


def _where(one: Judged, other: Judged) -> str:
    names = ("fidelity", "control", "own pictures")
    return " and ".join(name for name, mine, theirs in zip(names, one.marks, other.marks, strict=True) if mine > theirs)
