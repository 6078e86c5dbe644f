"""Packages: a dataset as zip archives, in the sizes that trainers outside this house expect.

Each picture comes with its caption (`name.txt`) and what is known of it (`.name_meta.json`), all in one folder, as
kohya-ss/sd-scripts and what is like it read them. The bytes of an archive depend on its content alone.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import PIL.ImageOps

from kyara_artifacts import Image, canonical_json, png_bytes
from kyara_curator.names import UniqueNames

FORMS = "raw, raw-stage3, {width}x{height}, stage3-{longest short side}, stage3-p{least root of the area}-{longest short side}"
_FORM = re.compile(r"(?P<raw>raw(-stage3)?)|(?P<w>\d+)x(?P<h>\d+)|stage3-(p(?P<least>\d+)-)?(?P<most>\d+)")
# The oldest time that a zip can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16


@dataclass(frozen=True)
class Form:
    """Which pictures a package holds, and in which size."""

    name: str
    persons_only: bool
    aligned: tuple[int, int] | None = None
    """Width and height that every picture is fitted in, padded with white."""
    longest_short_side: int | None = None
    """Larger pictures are scaled down until their shorter side is this."""
    least_root_area: int = 0
    """Pictures of less than this many px, squared, are left out."""

    @classmethod
    def parse(cls, name: str) -> "Form":
        """The form of a recipe's name for it, for example `stage3-640`. Raises ValueError."""
        found = _FORM.fullmatch(name)
        if not found:
            raise ValueError(f"no package is called {name!r}; there are {FORMS}")
        if found["raw"]:
            return cls(name, persons_only=name == "raw")
        if found["w"]:
            return cls(name, persons_only=True, aligned=(int(found["w"]), int(found["h"])))
        return cls(name, False, longest_short_side=int(found["most"]), least_root_area=int(found["least"] or 0))

    def takes(self, image: Image) -> bool:
        """Whether the package holds this picture."""
        if self.persons_only and image.crop != "person":
            return False
        return image.width * image.height >= self.least_root_area**2

    def size_of(self, image: Image) -> tuple[int, int]:
        """Width and height that a picture has in the package."""
        if self.aligned:
            return self.aligned
        shortest = min(image.width, image.height)
        if self.longest_short_side is None or shortest <= self.longest_short_side:
            return image.width, image.height
        scale = self.longest_short_side / shortest
        return round(image.width * scale), round(image.height * scale)

    def sized(self, image: Image, data: bytes) -> bytes:
        """A picture's PNG in the package's size; untouched where it has it already."""
        size = self.size_of(image)
        if size == (image.width, image.height):
            return data
        picture, lanczos = PIL.Image.open(io.BytesIO(data)), PIL.Image.Resampling.LANCZOS
        return png_bytes(PIL.ImageOps.pad(picture, size, lanczos, "white") if self.aligned else picture.resize(size, lanczos))


def write_zip(path: Path, form: Form, images: Iterable[Image], read: Callable[[Image], bytes]) -> int:
    """Write the package of `images` (those that `form` takes) to `path`; gives how many pictures it holds."""
    names, count = UniqueNames(), 0
    with zipfile.ZipFile(path, "w") as archive:
        for image in images:
            if not form.takes(image):
                continue
            count += 1
            # Without their folders, two pictures may have one name.
            stem = names.take(image.name.removesuffix(".png").replace("/", "_"), ending="")
            known = image.model_dump(mode="json", exclude_defaults=True, exclude={"sha256", "size", "width", "height"})
            # PNG does not get smaller by deflating it again.
            _add(archive, f"{stem}.png", form.sized(image, read(image)), zipfile.ZIP_STORED)
            _add(archive, f"{stem}.txt", (image.caption or "").encode(), zipfile.ZIP_DEFLATED)
            _add(archive, f".{stem}_meta.json", canonical_json(known), zipfile.ZIP_DEFLATED)
    return count


def _add(archive: zipfile.ZipFile, name: str, data: bytes, how: int) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.external_attr = _MODE
    entry.compress_type = how
    # ZipInfo notes the system it was made on unless told otherwise.
    entry.create_system = 3
    archive.writestr(entry, data)
