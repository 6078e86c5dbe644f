"""What a picture is trained to be the answer to: the trigger, then its tags, shuffled and thinned out each step."""

from dataclasses import dataclass

import numpy as np

from kyara_artifacts import Image


@dataclass(frozen=True)
class Caption:
    """A picture's caption: the trigger, which always stays in front, and the tags."""

    trigger: str
    tags: tuple[str, ...]

    def draw(self, rng: np.random.Generator, dropout: float) -> str:
        """The caption for one step: tags in a random order, each left out with probability `dropout`."""
        kept = [self.tags[number] for number in rng.permutation(len(self.tags)) if rng.random() >= dropout]
        return ", ".join([word for word in (self.trigger, *kept) if word])


def caption_of(image: Image, trigger: str) -> Caption:
    """The caption that the dataset gives `image`, or its tags by score when it gives none."""
    if image.caption is None:
        words = [tag.replace("_", " ") for tag, _ in sorted(image.tags.items(), key=lambda item: (-item[1], item[0]))]
    else:
        words = [word.strip() for word in image.caption.split(",")]
    return Caption(trigger, tuple(word for word in dict.fromkeys(words) if word and word != trigger))
