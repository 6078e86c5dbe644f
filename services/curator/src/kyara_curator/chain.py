"""A chain of steps that each set some items aside, with the counts and a sheet of what went at each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import PIL.Image

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import BadPicture, Image, Store, contact_sheet, put_json, read_picture, ref
from kyara_curator.geometry import Corners

_SHOWN = 40

T = TypeVar("T")
Look = tuple[Image, Corners | None]
"""An item as it can be looked at: its picture, and the part of it that it is."""


@dataclass(frozen=True)
class _Aside:
    name: str
    reason: str
    look: Look


@dataclass
class _Step:
    name: str
    given: int
    aside: list[_Aside] = field(default_factory=list)


class Chain:
    """Steps that were gone so far."""

    def __init__(self, reject: Callable[[str, str], None]) -> None:
        self._reject = reject
        self._steps: list[_Step] = []

    def __str__(self) -> str:
        return ", ".join(f"{step.name} {step.given - len(step.aside)} of {step.given}" for step in self._steps)

    def keep(
        self, name: str, items: Sequence[T], flaw: Callable[[T], str | None], look: Callable[[T], tuple[str, Look]]
    ) -> list[T]:
        """The items in which the step `name` finds no flaw; `look` gives an item's name, and what it looks like."""
        step = _Step(name, len(items))
        self._steps.append(step)
        kept = []
        for item in items:
            if (why := flaw(item)) is None:
                kept.append(item)
                continue
            called, looks = look(item)
            step.aside.append(_Aside(called, why, looks))
            self._reject(called, why)
        return kept

    def save(self, store: Store) -> dict[str, ArtifactRef]:
        """`report`, and `sheet_NN` for each step of it that set something aside."""
        rows: list[dict[str, Any]] = []
        sheets: dict[str, ArtifactRef] = {}
        for number, step in enumerate(self._steps):
            row: dict[str, Any] = {"step": step.name, "given": step.given, "kept": step.given - len(step.aside)}
            if step.aside and (sheet := _sheet(store, step.aside)):
                row["sheet"] = f"sheet_{number:02}"
                sheets[row["sheet"]] = sheet
            rows.append(row)
        return {"report": put_json(store, "report", rows), **sheets}


def _sheet(store: Store, aside: Sequence[_Aside]) -> ArtifactRef | None:
    """Items from all over a step with their reasons; None when none of them can be looked at."""
    step = max(1, len(aside) // _SHOWN)
    shown = [(picture, each) for each in aside[::step][:_SHOWN] for picture in _pictures(store, each.look)]
    if not shown:
        return None
    sheet = contact_sheet([picture for picture, _ in shown], [each.reason for _, each in shown], columns=8, cell=128)
    return ref("sheet", store.put(sheet), "image/png")


def _pictures(store: Store, look: Look) -> Iterable[PIL.Image.Image]:
    image, corners = look
    try:
        picture = read_picture(store.get(image.digest))
    except BadPicture:
        return
    yield picture.crop(corners) if corners else picture
