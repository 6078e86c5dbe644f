"""A web crawl of one character to clean crops: each step of the recipe is a line of `clean_web`.

Source: "Cleaning a web crawl" of the published process. The order matters: what is cheap goes first, whole pictures are
judged before crops are, and who is shown is only asked of single figures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kyara_artifacts import Image
from kyara_curator.chain import Chain, Look
from kyara_curator.cleaning import Candidate, Seen, good_enough, large_enough, one_figure, persons_in, repeats_in
from kyara_curator.consistency import NoCluster, Shares, consistent
from kyara_curator.framing import apart
from kyara_curator.looks import Print, first_seen

NO_CLUSTER = "no cluster says whom the pictures show"


@dataclass(frozen=True)
class WebRules:
    """What counts as clean."""

    drop_monochrome: bool
    kinds: tuple[str, ...]
    ratings: tuple[str, ...]
    near_duplicate: float
    shares: Shares
    min_quality: float
    min_side: int


@dataclass(frozen=True)
class Glance:
    """A whole picture, and what was seen of it; `flaw` says why it cannot be used at all."""

    image: Image
    print_: Print | None = None
    monochrome: bool = False
    kind: str = ""
    rating: str = ""
    flaw: str | None = None


@dataclass(frozen=True)
class Crop:
    """A person, how it looks, and its vector."""

    seen: Seen
    vector: np.ndarray

    @property
    def candidate(self) -> Candidate:
        """The person, not yet cut out."""
        return self.seen.candidate


@dataclass(frozen=True)
class Eyes:
    """How pictures are looked at."""

    glance: Callable[[Sequence[Image]], list[Glance]]
    """Every picture, in order."""
    crops: Callable[[Sequence[Candidate]], list[Crop]]
    """Every candidate, in order."""
    same: Callable[[np.ndarray], np.ndarray]
    """[n, n] bool of [n, 768] vectors: which show the same character."""


def clean_web(images: Sequence[Image], anchors: np.ndarray, rules: WebRules, eyes: Eyes, chain: Chain) -> list[Candidate]:
    """The persons in `images` that show the character and make good crops; `anchors` [n, 768] surely show it."""
    found = chain.keep("decoded", eyes.glance(images), lambda each: each.flaw, _whole)
    found = chain.keep("in colour", found, lambda each: _black_and_white(each, rules), _whole)
    found = chain.keep("of a wanted kind", found, lambda each: _unwanted(each.kind, rules.kinds, "kind"), _whole)
    found = chain.keep("of a wanted rating", found, lambda each: _unwanted(each.rating, rules.ratings, "rating"), _whole)
    repeats = _repeats(found, rules.near_duplicate)
    found = chain.keep("without near-duplicates", found, lambda each: repeats.get(each.image.name), _whole)
    found = chain.keep("with exactly one face", found, _faces, _whole)
    found = chain.keep("with a person", found, _no_person, _whole)
    persons = list(persons_in([each.image for each in found], lambda _name, _why: None))
    persons = chain.keep("crops with exactly one face and head", persons, one_figure, _cut)
    crops = eyes.crops(persons)
    others = _others(crops, anchors, rules.shares, eyes.same)
    crops = chain.keep("of the character", crops, lambda each: others.get(each.candidate.name), _crop)
    repeated = repeats_in([each.seen for each in crops], rules.near_duplicate)
    crops = chain.keep("crops without near-duplicates", crops, lambda each: repeated.get(each.candidate.name), _crop)
    crops = chain.keep("of good quality", crops, lambda each: good_enough(each.seen, rules.min_quality), _crop)
    crops = chain.keep("large enough", crops, lambda each: large_enough(each.candidate, rules.min_side), _crop)
    return [each.candidate for each in crops]


def _whole(glance: Glance) -> tuple[str, Look]:
    return glance.image.name, (glance.image, None)


def _cut(candidate: Candidate) -> tuple[str, Look]:
    return candidate.name, (candidate.frame, candidate.corners)


def _crop(crop: Crop) -> tuple[str, Look]:
    return _cut(crop.candidate)


def _black_and_white(glance: Glance, rules: WebRules) -> str | None:
    return "black and white" if glance.monochrome and rules.drop_monochrome else None


def _unwanted(label: str, wanted: Sequence[str], what: str) -> str | None:
    """No wanted labels, or no model that tells them, takes all."""
    return f"its {what} is {label}, not {' or '.join(wanted)}" if label and wanted and label not in wanted else None


def _repeats(glances: Sequence[Glance], limit: float) -> dict[str, str]:
    """Why, by name, pictures are near-duplicates of others: the largest stays, the first of equals."""
    if not limit:
        return {}
    order = sorted(glances, key=lambda each: -each.image.width * each.image.height)
    originals = first_seen([each.print_ for each in order if each.print_], limit)
    pairs = ((order[place].image, order[original].image) for place, original in enumerate(originals) if place != original)
    return {image.name: f"nearly the same as {original.name}" for image, original in pairs}


def _faces(glance: Glance) -> str | None:
    count = apart([box for box in glance.image.boxes if box.kind == "face"])
    return None if count == 1 else f"{count or 'no'} {'faces' if count else 'face'} in it, exactly one is wanted"


def _no_person(glance: Glance) -> str | None:
    return None if any(box.kind == "person" for box in glance.image.boxes) else "no person in it"


def _others(
    crops: Sequence[Crop], anchors: np.ndarray, shares: Shares, same: Callable[[np.ndarray], np.ndarray]
) -> dict[str, str]:
    """Why, by name, crops are taken for somebody else."""
    if not crops:
        return {}
    alike = same(np.concatenate([anchors, np.stack([each.vector for each in crops])]))
    try:
        found = consistent(alike, shares, len(anchors))
    except NoCluster as error:
        return {each.candidate.name: f"{error}: {NO_CLUSTER}" for each in crops}
    return {
        each.candidate.name: f"like {share:.0%} of the character's pictures, {shares.match:.0%} are wanted"
        for each, share in zip(crops, found, strict=True)
        if share is not None
    }
