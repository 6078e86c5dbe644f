"""All marks of every save, from what was seen of its previews. Pure functions over arrays; the stage looks, this judges."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kyara_evaluator.choice import Judged
from kyara_evaluator.control import Asked, asked_by
from kyara_evaluator.copies import copy_limit, diversity, memorised, nearest_of
from kyara_evaluator.fidelity import Scale, scale_of
from kyara_evaluator.prompts import DrawnPrompt
from kyara_evaluator.scoring import Preview

BASE = 0
"""The step of the base model without a LoRA."""


@dataclass(frozen=True)
class Seen:
    """What was seen of [n] previews and the dataset's [m] pictures."""

    previews: Sequence[Preview]
    differences: np.ndarray
    """[n, m] CCIP differences of previews from pictures."""
    among: np.ndarray
    """[m, m] CCIP differences among the pictures."""
    layouts: np.ndarray
    """[n, l], see copies.py."""
    pictures: np.ndarray
    """[m, l]"""
    tags: Sequence[Mapping[str, float]]
    """What a tagger sees in each preview; empty without a tagger."""
    trained: Mapping[int, np.ndarray]
    """For each step of which it is known: [m] whether each picture was trained on."""


@dataclass(frozen=True)
class PreviewMarks:
    """One preview's marks; None where a mark makes no sense for it."""

    fidelity: float | None
    obeyed: float | None
    nearest: int
    """Place of the picture that it is most alike, by layout."""
    alike: float
    """How much, -1..1."""
    copy: bool


@dataclass(frozen=True)
class StepMarks:
    """One save's marks beside its RecScore; nan where nothing was asked that would tell."""

    step: int
    fidelity: float
    obeyed: float
    """Mean confidence that previews show what their prompts ask for beside the character, 0..1."""
    control: float
    """`obeyed` as a share of the base model's, at most 1; 1 when prompts ask for nothing."""
    by_kind: Mapping[str, float]
    """`obeyed` for each kind of prompt."""
    copies: float
    """Share of previews that are copies of training pictures."""
    memorised: float
    """How much more often than by chance previews are nearest to pictures that were trained on, not held back, 0..1."""
    diversity: float
    """How unlike one another its previews are, those of one prompt where it has several, as a share of the base model's."""
    drift: float
    """Share of pairs that show the character in previews whose prompts do not name it, above the base model's."""
    broken: float
    """Share of previews that show nothing."""

    def judged(self) -> Judged:
        """What the choice goes by. What has learnt pictures by heart draws copies, or much the same whatever it is asked for."""
        varied = 1.0 if math.isnan(self.diversity) else min(1.0, self.diversity)
        learnt = 1.0 if math.isnan(self.memorised) else 1 - self.memorised
        return Judged(self.step, self.fidelity, self.control, max(0.0, 1 - self.copies - self.broken) * learnt * varied)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; what nothing tells of is null."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Verdicts:
    """Marks of every preview, of every step in order, and the scale of fidelity."""

    previews: list[PreviewMarks]
    steps: list[StepMarks]
    scale: Scale


def judge(seen: Seen, prompts: Sequence[DrawnPrompt], core_tags: Sequence[str], threshold: float) -> Verdicts:
    """Mark every preview and every save. Previews of step 0 are the base model's."""
    by_name = {prompt.name: prompt for prompt in prompts}
    base = np.array([each.step == BASE for each in seen.previews])
    named = np.array([not by_name[each.prompt].stranger for each in seen.previews])
    scale = scale_of(seen.among, seen.differences[base & named])
    known = frozenset(tag for tags in seen.tags for tag in tags)
    asked = {name: asked_by(prompt.text, prompt.negative, core_tags, known) for name, prompt in by_name.items()}
    marks = _marked(seen, by_name, asked, scale)
    own = _StepRows(seen, marks, by_name, (seen.differences <= threshold).mean(axis=1))
    at_base = own.of(BASE, None)
    steps = sorted({each.step for each in seen.previews})
    return Verdicts(marks, [own.of(step, at_base) for step in steps], scale)


def _marked(seen: Seen, prompts: Mapping[str, DrawnPrompt], asked: Mapping[str, Asked], scale: Scale) -> list[PreviewMarks]:
    fidelity = scale.place(seen.differences.mean(axis=1))
    places, alike = nearest_of(seen.layouts, seen.pictures)
    limit = copy_limit(seen.pictures)
    tags = seen.tags or [{}] * len(seen.previews)
    return [
        PreviewMarks(
            fidelity=None if prompts[each.prompt].stranger else 0.0 if each.corrupt else float(fidelity[row]),
            obeyed=asked[each.prompt].obeyed(tags[row]) if seen.tags else None,
            nearest=int(places[row]),
            alike=float(alike[row]),
            copy=bool(alike[row] > limit) and not each.corrupt,
        )
        for row, each in enumerate(seen.previews)
    ]


class _StepRows:
    """The marks of steps, each from its previews."""

    def __init__(self, seen: Seen, marks: Sequence[PreviewMarks], prompts: Mapping[str, DrawnPrompt], same: np.ndarray) -> None:
        self._seen = seen
        self._marks = marks
        self._prompts = prompts
        self._same = same

    def of(self, step: int, base: StepMarks | None) -> StepMarks:
        """The marks of one step, beside the base model's when they are known."""
        rows = self._rows(step)
        obeyed = _mean(self._marks[row].obeyed for row in rows)
        unlike = self._unlike(rows)
        strangers = [row for row in rows if self._stranger(row)]
        drift = float(self._same[strangers].mean()) if strangers else float("nan")
        return StepMarks(
            step=step,
            fidelity=_mean(self._marks[row].fidelity for row in rows),
            obeyed=obeyed,
            control=1.0 if base is None or not base.obeyed > 0 else min(1.0, obeyed / base.obeyed),
            by_kind=self._by_kind(rows),
            copies=_mean(float(self._marks[row].copy) for row in rows),
            memorised=self._memorised(step, rows),
            diversity=unlike / base.diversity if base and base.diversity > 0 else unlike,
            drift=drift - base.drift if base else drift,
            broken=_mean(float(self._seen.previews[row].corrupt) for row in rows),
        )

    def _rows(self, step: int) -> list[int]:
        return [row for row, each in enumerate(self._seen.previews) if each.step == step]

    def _stranger(self, row: int) -> bool:
        return self._prompts[self._seen.previews[row].prompt].stranger

    def _memorised(self, step: int, rows: Sequence[int]) -> float:
        trained = self._seen.trained.get(step)
        return float("nan") if trained is None else memorised(self._nearest(rows), self._nearest(self._rows(BASE)), trained)

    def _nearest(self, rows: Sequence[int]) -> np.ndarray:
        """Places of the pictures that previews of the character are most alike."""
        shown = [row for row in rows if not self._stranger(row) and not self._seen.previews[row].corrupt]
        return np.array([self._marks[row].nearest for row in shown], dtype=int)

    def _unlike(self, rows: Sequence[int]) -> float:
        """Diversity of a step's previews: of those of one prompt, where each is drawn from several seeds, or else of all."""
        texts: dict[str, list[int]] = {}
        drawn = {row: self._prompts[self._seen.previews[row].prompt] for row in rows}
        for row, prompt in drawn.items():
            texts.setdefault(prompt.text, []).append(row)
        several = any(prompt.drawing > 1 for prompt in drawn.values())
        together = texts.values() if several else [list(rows)]
        return _mean(diversity(self._seen.layouts[members]) for members in together)

    def _by_kind(self, rows: Sequence[int]) -> dict[str, float]:
        kinds: dict[str, list[float | None]] = {}
        for row in rows:
            kinds.setdefault(self._prompts[self._seen.previews[row].prompt].kind, []).append(self._marks[row].obeyed)
        return {kind: mean for kind, values in sorted(kinds.items()) if (mean := _mean(values)) == mean}


def _mean(values: Collection[float | None] | Any) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")
