"""Several indexes that turned out to show one character, as one image set."""

from collections import Counter
from collections.abc import Collection

from kyara_artifacts import Image, ImageSet


def merged(clusters: ImageSet, indexes: Collection[int]) -> ImageSet:
    """The crops of `indexes` as those of one character, under the lowest of them; the same whichever order they come in.

    Outfits were numbered within each index, so they are numbered anew: 0 is again the one seen most.
    """
    crops = sorted((crop for crop in clusters if crop.index in indexes), key=lambda crop: crop.index or 0)
    index = min(indexes)
    number = _outfit_numbers(crops)
    images = (crop.model_copy(update={"index": index, "outfit": number.get((crop.index, crop.outfit))}) for crop in crops)
    return ImageSet(images=tuple(images), meta={"index": index})


def _outfit_numbers(crops: Collection[Image]) -> dict[tuple[int | None, int | None], int]:
    """A number for each outfit of each index, most pictures first."""
    seen = Counter((crop.index, crop.outfit) for crop in crops if crop.outfit is not None)
    return {outfit: number for number, (outfit, _) in enumerate(seen.most_common())}
