"""What a picture is trained to be the answer to: the trigger, then its tags, shuffled and thinned out each step."""

from dataclasses import dataclass

import numpy as np

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Image


@dataclass(frozen=True)
class Caption:
    """A picture's caption: the trigger, which always stays in front, and the tags."""

    trigger: str
    tags: tuple[str, ...]

    def draw(self, rng: np.random.Generator, params: TrainParams) -> str:
        """The caption for one step: tags in a random order, or their own, each left out with probability `tag_dropout`.

        With probability `caption_dropout` it is empty.
        """
        if params.caption_dropout and rng.random() < params.caption_dropout:
            return ""
        order = range(len(self.tags)) if params.keep_tag_order else rng.permutation(len(self.tags))
        return _joined(self.trigger, [self.tags[number] for number in order if rng.random() >= params.tag_dropout])

    def whole(self) -> str:
        """The caption with all its tags, in their own order."""
        return _joined(self.trigger, self.tags)


def caption_of(image: Image, trigger: str, stands_for_it: str = "") -> Caption:
    """The caption that the dataset gives `image`, or its tags by score when it gives none.

    `stands_for_it` are the pivotal words that take the trigger's place.
    """
    if image.caption is None:
        words = [tag.replace("_", " ") for tag, _ in sorted(image.tags.items(), key=lambda item: (-item[1], item[0]))]
    else:
        words = [word.strip() for word in image.caption.split(",")]
    return Caption(stands_for_it or trigger, tuple(word for word in dict.fromkeys(words) if word and word != trigger))


def are_fixed(params: TrainParams) -> bool:
    """Whether a picture's caption is the same, or empty, at every step."""
    return params.keep_tag_order and not params.tag_dropout


def _joined(trigger: str, tags: list[str] | tuple[str, ...]) -> str:
    return ", ".join([word for word in (trigger, *tags) if word])
