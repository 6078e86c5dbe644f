"""Whether previews obey their prompts, beyond showing the character.

Source: the `bp` metric of DeepGHS' later pipeline: a tagger's confidence in the tags of the prompt, and 1 less its confidence in
those of the negative prompt. Here the character's own tags do not count, which a save that draws one picture whatever it is told
would get for nothing, and every number stands beside that of the base model without a LoRA.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

_WEIGHT = re.compile(r"\(([^():]+):\d+(?:\.\d+)?\)")


@dataclass(frozen=True)
class Asked:
    """What a prompt asks for, in the tagger's words."""

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]

    def obeyed(self, seen: Mapping[str, float]) -> float | None:
        """0..1: mean confidence that the wanted is there and the unwanted is not; None when the prompt asks for nothing."""
        marks = [seen.get(tag, 0.0) for tag in self.wanted] + [1 - seen.get(tag, 0.0) for tag in self.unwanted]
        return sum(marks) / len(marks) if self.wanted else None


def asked_by(text: str, negative: str, own: Collection[str], known: Collection[str]) -> Asked:
    """What a prompt asks for beside the character's `own` tags, among those that the tagger knows."""
    wanted = tuple(tag for tag in _tags(text) if tag in known and tag not in own)
    unwanted = tuple(tag for tag in _tags(negative) if tag in known and tag not in own and tag not in wanted)
    return Asked(wanted, unwanted)


def unweighted(text: str) -> str:
    """A prompt without its weights: `(maid:1.2)` is `maid`."""
    return _WEIGHT.sub(r"\1", text)


def contradictions(text: str, core_tags: Sequence[str], trait_words: Collection[str] = ("hair", "eyes")) -> list[str]:
    """Tags of a prompt that the character's own contradict: another colour of hair or eyes than it has."""
    own = {tag for tag in core_tags if _colour_of(tag, trait_words)}
    kinds = {tag.rpartition("_")[2] for tag in own}
    asked = [tag for tag in _tags(text) if _colour_of(tag, trait_words) and tag.rpartition("_")[2] in kinds]
    return [tag for tag in asked if tag not in own]


_COLOURS = frozenset(
    [
        *("aqua", "black", "blonde", "blue", "brown", "green", "grey", "light_blue", "light_brown"),
        *("orange", "pink", "purple", "red", "silver", "white", "yellow"),
    ]
)


def _colour_of(tag: str, trait_words: Collection[str]) -> bool:
    colour, _, word = tag.rpartition("_")
    return word in trait_words and colour in _COLOURS


def _tags(text: str) -> list[str]:
    """The words between commas as tags, without weights."""
    return list(dict.fromkeys("_".join(words.lower().split()) for words in unweighted(text).split(",") if words.strip()))
