"""How many training steps a dataset gets: the published formulas, as data that recipes choose from.

`images` is always the number of pictures in the packaged dataset, crops included. The published versions
count an epoch as one step per picture, not divided by the batch.
"""

from math import ceil
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FixedSteps(_Rule):
    """The same number whatever the dataset (v1.0)."""

    rule: Literal["fixed"]
    steps: PositiveInt

    def count(self, images: int) -> int:
        """Steps for a dataset of `images` pictures."""
        return self.steps


class ConstantMinimum(_Rule):
    """At least `steps`, for datasets of at most `up_to_images` pictures (v1.4); 0 means of any size."""

    kind: Literal["constant"]
    steps: PositiveInt
    up_to_images: NonNegativeInt = 0

    def count(self, images: int) -> float:
        """The fewest steps for a dataset of `images` pictures."""
        return self.steps if not self.up_to_images or images <= self.up_to_images else 0


class LogisticMinimum(_Rule):
    """A curve fitted to what small and large datasets needed (v1.4.1):
    `ceiling + (floor - ceiling) / (1 + (images / middle) ** power)`.
    """

    kind: Literal["logistic"]
    floor: PositiveFloat
    ceiling: PositiveFloat
    middle: PositiveFloat
    power: PositiveFloat

    def count(self, images: int) -> float:
        """The fewest steps for a dataset of `images` pictures."""
        return self.ceiling + (self.floor - self.ceiling) / (1 + (images / self.middle) ** self.power)


Minimum = Annotated[ConstantMinimum | LogisticMinimum, Field(discriminator="kind")]


class EpochSteps(_Rule):
    """So many epochs, but no fewer steps than `minimum` says (v1.3 and later)."""

    rule: Literal["epochs"]
    epochs: PositiveInt
    minimum: Minimum | None = None

    def count(self, images: int) -> int:
        """Steps for a dataset of `images` pictures."""
        least = self.minimum.count(images) if self.minimum else 0
        return ceil(max(self.epochs * images, least))


Steps = Annotated[FixedSteps | EpochSteps, Field(discriminator="rule")]
