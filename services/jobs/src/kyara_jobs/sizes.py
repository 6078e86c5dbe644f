"""Numbers of a recipe that go by the size of the dataset: more epochs for few pictures, a larger LoRA for many."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt


class Rule(BaseModel):
    """A formula of a recipe. Every key is known and every value is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BySize(Rule):
    """The number of the first row of `up_to` that holds so many pictures, else `above`."""

    rule: Literal["by_images"]
    up_to: dict[PositiveInt, NonNegativeInt]
    above: NonNegativeInt

    def of(self, images: int) -> int:
        """The number for a dataset of `images` pictures."""
        return next((value for most, value in sorted(self.up_to.items()) if images <= most), self.above)


Sized = NonNegativeInt | BySize


def for_size(value: int | BySize, images: int) -> int:
    """What `value` is for a dataset of `images` pictures."""
    return value.of(images) if isinstance(value, BySize) else value
