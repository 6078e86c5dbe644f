"""What the previews are drawn from: patterns found in the dataset's tags, and the prompts of a suite.

Patterns as in DeepGHS' published pipeline: OPTICS (Ankerst et al. 1999) over the pictures' binary tag vectors with
cosine distance; each cluster gives the core tags and what most of its pictures share.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.cluster import OPTICS

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams, Prompt
from kyara_artifacts import Image
from kyara_evaluator.control import unweighted

MIN_SAMPLES, XI = 5, 0.01
SHARE = 0.45


@dataclass(frozen=True)
class DrawnPrompt:
    """One prompt as it is drawn, at every step alike."""

    name: str
    text: str
    """`(words:1.15)` gives words a weight."""
    negative: str
    seed: int
    kind: str = "plain"
    """What it tries: a kind of the suite, or `pattern` for one found in the dataset."""
    stranger: bool = False
    """Whether it does not name the character."""
    drawing: int = 1
    """Which of the pictures of one text it is, each from a seed of its own."""
    words: str = ""
    """What its pictures should show: the text without the character's word, which no other model knows, and without weights."""

    def to_json(self) -> dict[str, str | int | bool]:
        """Plain JSON."""
        return asdict(self)


def prompts_of(params: EvaluateParams, images: Sequence[Image]) -> list[DrawnPrompt]:
    """The patterns of the dataset, then the suite. Names are unique: a later one of the same name is left out."""
    patterns = pattern_tags([set(image.tags) for image in images], params.core_tags, params.max_pattern_prompts)
    found = [
        Prompt(name=f"pattern_{n}", text=", ".join(["{trigger}", *map(_in_words, tags)]), kind="pattern")
        for n, tags in enumerate(patterns)
    ]
    by_name: dict[str, Prompt] = {}
    for prompt in [*found, *params.prompts]:
        by_name.setdefault(prompt.name, prompt)
    drawings = range(1, max(1, params.seeds) + 1)
    return [_drawn(prompt, params, drawing) for prompt in by_name.values() for drawing in drawings]


def _drawn(prompt: Prompt, params: EvaluateParams, drawing: int) -> DrawnPrompt:
    name = prompt.name if drawing == 1 else f"{prompt.name} #{drawing}"
    return DrawnPrompt(
        name=name,
        text=_filled(prompt.text, params),
        negative=prompt.negative or params.negative,
        seed=seed_of(params.seed, name),
        kind=prompt.kind or "plain",
        stranger="{trigger}" not in prompt.text,
        drawing=drawing,
        words=unweighted(_filled(prompt.text.replace("{trigger}", ""), params)),
    )


def pattern_tags(tagged: Sequence[set[str]], core_tags: Sequence[str], most: int) -> list[list[str]]:
    """Tags of at most `most` patterns, that of the largest cluster first; one of all pictures when there is no cluster."""
    labels = _clusters(tagged)
    sizes = Counter(int(label) for label in labels if label >= 0)
    members = [
        [tags for tags, label in zip(tagged, labels, strict=True) if label == n]
        for n, _ in sorted(sizes.items(), key=lambda s: (-s[1], s[0]))
    ]
    return [_shared(group, core_tags) for group in members or [list(tagged)]][:most]


def seed_of(seed: int, name: str) -> int:
    """A prompt's seed: the same for every step of a run, so that steps compare like with like."""
    return int.from_bytes(hashlib.sha256(f"{seed}/preview/{name}".encode()).digest()[:4], "big")


def _clusters(tagged: Sequence[set[str]]) -> np.ndarray:
    labels = np.full(len(tagged), -1)
    # A picture without tags has no direction, so no cosine.
    rows = [number for number, tags in enumerate(tagged) if tags]
    if len(rows) < MIN_SAMPLES:
        return labels
    words = sorted(set().union(*tagged))
    vectors = np.array([[word in tagged[row] for word in words] for row in rows], dtype=float)
    # Identical pictures have no reachability distance; sklearn divides by it.
    with np.errstate(divide="ignore", invalid="ignore"):
        labels[rows] = OPTICS(min_samples=MIN_SAMPLES, xi=XI, metric="cosine").fit(vectors).labels_
    return labels


def _shared(group: Sequence[set[str]], core_tags: Sequence[str]) -> list[str]:
    """The core tags, then what at least `SHARE` of the group has, the most frequent first."""
    counts = Counter(tag for tags in group for tag in tags)
    shared = sorted((tag for tag in counts if counts[tag] >= SHARE * len(group)), key=lambda tag: (-counts[tag], tag))
    return list(dict.fromkeys([*core_tags, *shared]))


def _filled(text: str, params: EvaluateParams) -> str:
    weight = params.trigger_weight or 1.0
    trigger = params.trigger if weight == 1.0 else f"({params.trigger}:{weight:g})"
    core = ", ".join(map(_in_words, params.core_tags))
    filled = text.replace("{trigger}", trigger).replace("{core_tags}", core)
    return ", ".join(words for part in filled.split(",") if (words := part.strip()))


def _in_words(tag: str) -> str:
    """A tag as captions write it: spaces for underscores, but for faces such as `^_^`."""
    return tag.replace("_", " ") if any(letter.isalpha() for letter in tag) and len(tag) > 3 else tag
