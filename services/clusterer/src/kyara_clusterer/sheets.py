"""Contact sheets: all indexes at a glance, and one index with its outfits."""

from collections.abc import Sequence

import PIL.Image

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Image, Store, contact_sheet, read_picture, ref

_COLUMNS = 8
_CELL = 128
_MOST_ROWS = 40
_BLANK = PIL.Image.new("RGB", (1, 1), "white")


def overview(store: Store, characters: Sequence[Sequence[Image]]) -> ArtifactRef:
    """A row of crops for each of the first characters, from all over the video."""
    rows = [(f"{index}: {len(crops)} crops", crops) for index, crops in enumerate(characters[:_MOST_ROWS])]
    return _sheet(store, rows)


def of_outfits(store: Store, crops: Sequence[Image]) -> ArtifactRef:
    """A row of crops for each outfit of one character."""
    worn: dict[int, list[Image]] = {}
    for crop in crops:
        worn.setdefault(crop.outfit or 0, []).append(crop)
    return _sheet(store, [(f"outfit {outfit}: {len(worn[outfit])} crops", worn[outfit]) for outfit in sorted(worn)])


def _sheet(store: Store, rows: Sequence[tuple[str, Sequence[Image]]]) -> ArtifactRef:
    pictures: list[PIL.Image.Image] = []
    captions: list[str] = []
    for caption, crops in rows:
        count = min(len(crops), _COLUMNS)
        spread = [crops[place * len(crops) // count] for place in range(count)]
        pictures += [read_picture(data) for data in store.get_all([crop.digest for crop in spread])]
        pictures += [_BLANK] * (_COLUMNS - count)
        captions += [caption, *[""] * (_COLUMNS - 1)]
    return ref("sheet", store.put(contact_sheet(pictures, captions, columns=_COLUMNS, cell=_CELL)), "image/png")
