"""Frames with boxes to clean crops: each step of the recipe is a function here, and `clean` is their chain.

Source: "Video to dataset" of the v1.4 process. The steps that need no pixels come first; only frames that still have a
candidate are decoded.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import PIL.Image

from kyara_artifacts import BadPicture, Box, Image, side_by_side
from kyara_curator.drawings import Drawing, drawing_of, same_drawings
from kyara_curator.framing import Framing, apart, framing_of
from kyara_curator.geometry import Corners, boxes_inside, padded, shortest_side
from kyara_curator.looks import Print, first_seen, is_monochrome, print_of
from kyara_curator.names import UniqueNames, safe_stem
from kyara_curator.quality import Flaws, flaws_of

T = TypeVar("T")


@dataclass(frozen=True)
class Candidate:
    """A person in a frame, not yet cut out."""

    name: str
    frame: Image
    corners: Corners
    person: Box
    """In px of the frame."""
    boxes: tuple[Box, ...]
    """What else the frame's boxes say about this part of it, in px of the crop."""
    scores: dict[str, float] = field(default_factory=dict)
    """Its flaws and its quality, once it was looked at."""

    def cut(self, picture: PIL.Image.Image) -> PIL.Image.Image:
        """The crop, out of the decoded frame."""
        return picture.crop(self.corners)

    def described(self, sha256: str, size: int) -> Image:
        """The crop as an entry of an image set."""
        return Image(
            name=self.name,
            sha256=sha256,
            size=size,
            width=self.corners[2] - self.corners[0],
            height=self.corners[3] - self.corners[1],
            source=self.frame.source,
            time_s=self.frame.time_s,
            shot=self.frame.shot,
            sharpness=self.frame.sharpness,
            boxes=self.boxes,
            scores=self.scores,
            crop="person",
            parent=self.frame.name,
            parent_box=tuple(float(value) for value in self.corners),  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Rules:
    """What counts as clean."""

    min_side: int
    near_duplicate: float
    drop_monochrome: bool
    exactly_one_face: bool
    min_quality: float


class Bench(Protocol):
    """What cleaning needs from outside: pictures, and a place for what it sets aside."""

    def read(self, frame: Image) -> PIL.Image.Image:
        """The decoded frame. Raises BadPicture."""
        ...

    def reject(self, item: str, reason: str) -> None:
        """Set something aside."""
        ...

    def track(self, frames: Iterable[T], count: int, phase: str) -> Iterable[T]:
        """What there is for each of `count` frames again, saying how far the work is."""
        ...


@dataclass
class Counts:
    """How many were left after each step, in order."""

    steps: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{step} {count}" for step, count in self.steps.items())


def clean(frames: Iterable[Image], rules: Rules, bench: Bench, counts: Counts) -> list[Candidate]:
    """The persons in `frames` that make good crops; what is left after each step goes to `counts`."""

    def left(step: str, candidates: list[Candidate]) -> list[Candidate]:
        counts.steps[step] = len(candidates)
        return candidates

    frames = list(frames)
    counts.steps["frames"] = len(frames)
    found = left("persons", list(persons_in(frames, bench.reject)))
    if rules.exactly_one_face:
        found = left("with exactly one face and head", _kept(found, one_figure, bench))
    found = left("large enough", _kept(found, lambda each: large_enough(each, rules.min_side), bench))
    seen = _seen(found, bench)
    if rules.drop_monochrome:
        seen = _in_colour(seen, bench)
        left("in colour", [each.candidate for each in seen])
    if rules.min_quality:
        seen = _good_enough(seen, rules.min_quality, bench)
        left("of good quality", [each.candidate for each in seen])
    return left("without near-duplicates", _without_repeats(seen, rules.near_duplicate, bench))


def by_frame(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    """Candidates by the digest of their frame, in order of appearance."""
    found: dict[str, list[Candidate]] = {}
    for each in candidates:
        found.setdefault(each.frame.sha256, []).append(each)
    return found


def persons_in(frames: Iterable[Image], reject: Callable[[str, str], None]) -> Iterator[Candidate]:
    """Every person of every frame; frames without one are set aside."""
    names = UniqueNames()
    for frame in frames:
        persons = [box for box in frame.boxes if box.kind == "person"]
        if not persons:
            reject(frame.name, "no person in it")
        others = [box for box in frame.boxes if box.kind != "person"]
        for number, box in enumerate(persons):
            corners = padded(box, frame.width, frame.height)
            name = names.take(f"{safe_stem(frame.name)}_p{number}")
            if shortest_side(corners) < 1:
                reject(name, "the person's box lies outside the picture")
                continue
            yield Candidate(name, frame, corners, box, boxes_inside(others, corners))


def _kept(candidates: list[Candidate], flaw: Callable[[Candidate], str | None], bench: Bench) -> list[Candidate]:
    kept = []
    for each in candidates:
        if why := flaw(each):
            bench.reject(each.name, why)
        else:
            kept.append(each)
    return kept


def one_figure(candidate: Candidate) -> str | None:
    """Why a crop does not show one figure alone."""
    for kind, words in (("face", "faces"), ("head", "heads")):
        count = apart([box for box in candidate.boxes if box.kind == kind])
        if count != 1:
            return f"{count or 'no'} {words if count else kind} in it, exactly one is wanted"
    return None


def large_enough(candidate: Candidate, min_side: int) -> str | None:
    """Why a crop is too small."""
    side = shortest_side(candidate.corners)
    return f"shortest side is {side} px, at least {min_side} are wanted" if side < min_side else None


@dataclass(frozen=True)
class Seen:
    """A candidate, and how its crop looks."""

    candidate: Candidate
    print_: Print
    monochrome: bool
    flaws: Flaws
    drawing: Drawing | None


def _seen(candidates: list[Candidate], bench: Bench) -> list[Seen]:
    """How each candidate looks; those in frames that cannot be decoded are set aside."""

    def looked_at(group: list[Candidate]) -> list[Seen] | BadPicture:
        try:
            picture = bench.read(group[0].frame)
        except BadPicture as error:
            return error
        return [seen_as(each, each.cut(picture), framing_of(each.person, each.frame)) for each in group]

    groups = list(by_frame(candidates).values())
    seen: list[Seen] = []
    for group, found in bench.track(zip(groups, side_by_side(looked_at, groups), strict=True), len(groups), "looking at persons"):
        if isinstance(found, BadPicture):
            bench.reject(group[0].frame.name, str(found))
        else:
            seen += found
    return seen


def seen_as(candidate: Candidate, crop: PIL.Image.Image, framing: Framing) -> Seen:
    """How a candidate looks, its crop being `crop` and so framed."""
    flaws = flaws_of(crop, candidate.boxes, framing)
    judged = replace(candidate, scores=flaws.scores)
    return Seen(judged, print_of(crop), is_monochrome(crop), flaws, drawing_of(crop, candidate.boxes))


def _in_colour(seen: list[Seen], bench: Bench) -> list[Seen]:
    for each in seen:
        if each.monochrome:
            bench.reject(each.candidate.name, "black and white")
    return [each for each in seen if not each.monochrome]


def good_enough(seen: Seen, least: float) -> str | None:
    """Why a crop is not good enough a drawing."""
    flaws = seen.flaws
    if flaws.quality >= least:
        return None
    flaw = f"{flaws.worst} {getattr(flaws, flaws.worst):.2f}"
    return f"quality is {flaws.quality:.2f}, at least {least:g} is wanted: {flaw}"


def _good_enough(seen: list[Seen], least: float, bench: Bench) -> list[Seen]:
    kept = []
    for each in seen:
        if why := good_enough(each, least):
            bench.reject(each.candidate.name, why)
        else:
            kept.append(each)
    return kept


def _without_repeats(seen: list[Seen], limit: float, bench: Bench) -> list[Candidate]:
    """One of each group of near-duplicates."""
    repeats = repeats_in(seen, limit)
    for name, why in repeats.items():
        bench.reject(name, why)
    return [each.candidate for each in seen if each.candidate.name not in repeats]


def repeats_in(seen: list[Seen], limit: float) -> dict[str, str]:
    """Why, by name, crops are near-duplicates of others: the one of best quality stays, then the one from the sharpest
    frame, the first of equals.
    """
    order = sorted(seen, key=lambda each: (-round(each.flaws.quality, 1), -(each.candidate.frame.sharpness or 0.0)))
    return {
        order[place].candidate.name: f"nearly the same as {order[original].candidate.name}"
        for place, original in enumerate(_originals(order, limit))
        if place != original
    }


def _originals(order: list[Seen], limit: float) -> list[int]:
    """For each the place of the earlier one that it nearly repeats, by its print or as a drawing, or its own place."""
    if not limit:
        return list(range(len(order)))
    by_print = first_seen([each.print_ for each in order], limit)
    by_drawing = same_drawings([each.drawing for each in order])
    originals: list[int] = []
    for place in range(len(order)):
        earlier = by_print[place] if by_print[place] != place else by_drawing[place]
        originals.append(place if earlier == place else originals[earlier])
    return originals
