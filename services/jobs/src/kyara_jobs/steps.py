"""How many training steps a dataset gets: the published formulas, as data that recipes choose from.

`images` is always the number of pictures in the packaged dataset, crops included. The versions up to v1.4.1 count an
epoch as one step per picture; the later ones as one step per batch.
"""

from math import ceil
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from kyara_jobs.sizes import Rule, Sized, for_size


class FixedSteps(Rule):
    """The same number whatever the dataset (v1.0)."""

    rule: Literal["fixed"]
    steps: PositiveInt

    def count(self, images: int, batch_size: int) -> int:
        """Steps for a dataset of `images` pictures in batches of `batch_size`."""
        return self.steps


class ConstantMinimum(Rule):
    """At least `steps`, for datasets of at most `up_to_images` pictures (v1.4); 0 means of any size."""

    kind: Literal["constant"]
    steps: PositiveInt
    up_to_images: NonNegativeInt = 0

    def count(self, images: int) -> float:
        """The fewest steps for a dataset of `images` pictures."""
        return self.steps if not self.up_to_images or images <= self.up_to_images else 0


class LogisticMinimum(Rule):
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


class EpochSteps(Rule):
    """So many epochs, but no fewer steps than `minimum` says (v1.3 to v1.4.1, v1.6)."""

    rule: Literal["epochs"]
    epochs: Sized
    minimum: Minimum | None = None
    step: Literal["picture", "batch"] = "picture"
    """What of the dataset an epoch's step stands for."""

    def count(self, images: int, batch_size: int) -> int:
        """Steps for a dataset of `images` pictures in batches of `batch_size`."""
        least = self.minimum.count(images) if self.minimum else 0
        an_epoch = images / (batch_size if self.step == "batch" else 1)
        return ceil(max(for_size(self.epochs, images) * an_epoch, least))


class BoundedEpochSteps(Rule):
    """So many epochs of batches, at least `least` steps; at most `most` of them, or `most_epochs` where that is more (v1.5):
    `min(max(epochs N / batch, least), max(most_epochs N / batch, most))`.
    """

    rule: Literal["bounded_epochs"]
    epochs: PositiveInt
    least: PositiveInt
    most_epochs: PositiveInt
    most: PositiveInt

    def count(self, images: int, batch_size: int) -> int:
        """Steps for a dataset of `images` pictures in batches of `batch_size`."""
        an_epoch = images / batch_size
        return ceil(min(max(self.epochs * an_epoch, self.least), max(self.most_epochs * an_epoch, self.most)))


Steps = Annotated[FixedSteps | EpochSteps | BoundedEpochSteps, Field(discriminator="rule")]
