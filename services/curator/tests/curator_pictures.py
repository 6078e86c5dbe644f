"""Paper dolls with known boxes: enough of a figure for what the curator looks at."""

import io

import numpy as np
import PIL.Image
import PIL.ImageDraw

from kyara_artifacts import Box, Image, Store, put_picture

SKIN = (250, 224, 205)
WIDTH, HEIGHT = 640, 360


def backdrop(seed: int) -> PIL.Image.Image:
    """Soft blobs of pale colour."""
    small = np.random.default_rng(seed).integers(120, 250, (5, 8, 3), dtype=np.uint8)
    return PIL.Image.fromarray(small).resize((WIDTH, HEIGHT), PIL.Image.Resampling.BICUBIC)


def draw_doll(
    picture: PIL.Image.Image, x: int, y: int, *, hair: tuple[int, int, int] = (200, 60, 90), faces: int = 1, arm: int = 0
) -> tuple[Box, ...]:
    """Draw a doll of 100x200 px with its corner at (x, y); gives its boxes. `arm` lowers its arm by so many px."""
    pen = PIL.ImageDraw.Draw(picture)
    pen.rectangle((x + 25, y + 70, x + 75, y + 199), fill=(60, 80, 160))
    pen.rectangle((x, y + 80 + arm, x + 99, y + 95 + arm), fill=SKIN)
    pen.ellipse((x + 15, y, x + 85, y + 72), fill=hair)
    pen.ellipse((x + 28, y + 20, x + 72, y + 70), fill=SKIN)
    pen.ellipse((x + 36, y + 38, x + 44, y + 50), fill=(30, 30, 60))
    pen.ellipse((x + 56, y + 38, x + 64, y + 50), fill=(30, 30, 60))
    kinds = [("person", 0, 0, 100, 200), ("halfbody", 0, 0, 100, 110), ("head", 15, 0, 85, 72)]
    kinds += [("face", 28, 20 + 60 * n, 72, 70 + 60 * n) for n in range(faces)]
    return tuple(Box(kind=k, x0=x + a, y0=y + b, x1=x + c, y1=y + d, score=0.9) for k, a, b, c, d in kinds)


def keep(store: Store, picture: PIL.Image.Image, name: str, boxes: tuple[Box, ...] = (), **known: object) -> Image:
    """The picture as an entry of an image set."""
    digest, width, height = put_picture(store, picture)
    entry = {"name": name, "sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height}
    return Image.model_validate({**entry, "boxes": boxes, **known})


def jpeg(picture: PIL.Image.Image, quality: int = 60) -> PIL.Image.Image:
    """The picture after a trip through a codec."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return PIL.Image.open(buffer).convert("RGB")
