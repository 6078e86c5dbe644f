"""Core tags and captions, as the published recipes define them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kyara_curator.tag_words import MOMENT_WORDS, TRAIT_WORDS

Tags = Mapping[str, float]


@dataclass(frozen=True)
class CoreShares:
    """The share of pictures in which a tag must be seen to belong to the character."""

    tag: float
    trait: float
    """For tags that name a body trait."""


def core_tags(tagged: Sequence[Tags], shares: CoreShares) -> list[str]:
    """Tags that are the character's own, the most frequent first; equals by name."""
    seen = Counter(tag for tags in tagged for tag in tags)
    wanted = {
        tag: count
        for tag, count in seen.items()
        if not is_of_the_moment(tag) and count / len(tagged) >= (shares.trait if is_trait(tag) else shares.tag)
    }
    return sorted(wanted, key=lambda tag: (-wanted[tag], tag))


def caption(trigger: str, tags: Tags, pruned: Sequence[str]) -> str:
    """`trigger, tag, tag, ...`, tags by score and without the `pruned` ones."""
    ordered = sorted(tags, key=lambda tag: (-tags[tag], tag))
    return ", ".join([trigger, *(in_words(tag) for tag in ordered if tag not in pruned)])


def words_of(written: str, trigger: str) -> dict[str, float]:
    """The tags that a caption names between its commas, but for `trigger`, each with the score 1."""
    words = (word.strip() for word in written.split(","))
    return {"_".join(word.split()): 1.0 for word in words if word and word != trigger}


def in_words(tag: str) -> str:
    """A tag as prompts write it: spaces for underscores, but for faces such as `^_^`."""
    return tag.replace("_", " ") if any(letter.isalpha() for letter in tag) and len(tag) > 3 else tag


def is_trait(tag: str) -> bool:
    """Whether a tag names a trait of the body: hair, eyes, horns, ..."""
    return any(word in TRAIT_WORDS for word in tag.split("_")) and not is_of_the_moment(tag)


def is_of_the_moment(tag: str) -> bool:
    """Whether a tag says something of the picture and nothing of the character."""
    return any(word in MOMENT_WORDS for word in tag.split("_"))
