"""Pictures in and out of the store, and sheets of them to look at."""

import io
import warnings
from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import PIL.ImageOps

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts.png import png_bytes
from kyara_artifacts.store import Store

MAX_PIXELS = 64_000_000
_INK, _PAPER = (40, 40, 48), (250, 249, 246)
# Of captions: px from line to line, and how many letters are shown of the longest.
_LINE, _MOST_LETTERS = 13, 120
_Font = PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont


class BadPicture(ValueError):
    """The bytes are no picture that can be used; the message says why."""


def read_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> PIL.Image.Image:
    """Decode a picture whole, as RGB, upright; transparent parts become white.

    Raises BadPicture: not an image, cut short, or more than `max_pixels` (checked before anything is decoded).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            picture = PIL.Image.open(io.BytesIO(data))
            if picture.width * picture.height > max_pixels:
                raise BadPicture(f"{picture.width}x{picture.height} px are more than {max_pixels} px in all")
            picture.load()
        return _opaque(PIL.ImageOps.exif_transpose(picture))
    except BadPicture:
        raise
    except PIL.UnidentifiedImageError:
        # Pillow's own words hold an address in memory, and a reason must be the same each time.
        raise BadPicture("cannot be decoded: it begins like no picture that is known") from None
    except Exception as error:
        # Pillow's decoders raise whatever they like for a damaged file (OSError, SyntaxError, struct.error, ...).
        raise BadPicture(f"cannot be decoded: {error}") from error


def _opaque(picture: PIL.Image.Image) -> PIL.Image.Image:
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", picture.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def put_picture(store: Store, picture: PIL.Image.Image | np.ndarray) -> tuple[Digest, int, int]:
    """Keep a picture as PNG; gives its digest, width and height."""
    height, width = picture.shape[:2] if isinstance(picture, np.ndarray) else picture.size[::-1]
    return store.put(png_bytes(picture)), width, height


def contact_sheet(
    pictures: Sequence[PIL.Image.Image], captions: Sequence[str] | None = None, *, columns: int = 8, cell: int = 128
) -> bytes:
    """PNG of `pictures` in rows of `columns`, each fitted in `cell` px and centred, with its caption in lines beneath."""
    font = PIL.ImageFont.load_default(11)
    written = [_lines(caption, font, cell - 6) for caption in captions or ()]
    strip = 3 + _LINE * max(1, *map(len, written)) if written else 0
    rows = max(1, -(-len(pictures) // columns))
    sheet = PIL.Image.new("RGB", (columns * (cell + 6) + 6, rows * (cell + strip + 6) + 6), _PAPER)
    draw = PIL.ImageDraw.Draw(sheet)
    for place, picture in enumerate(pictures):
        x, y = 6 + place % columns * (cell + 6), 6 + place // columns * (cell + strip + 6)
        small = PIL.ImageOps.contain(picture, (cell, cell))
        sheet.paste(small, (x + (cell - small.width) // 2, y + (cell - small.height) // 2))
        for number, line in enumerate(written[place] if written else ()):
            draw.text((x + cell / 2, y + cell + 2 + _LINE * number), line, _INK, font, "ma")
    return png_bytes(sheet)


def _lines(text: str, font: _Font, width: int) -> list[str]:
    """`text` in lines of at most `width` px, broken between words, and in words that are longer; its middle may be left out."""
    if len(text) > _MOST_LETTERS:
        text = f"{text[: _MOST_LETTERS // 2]}...{text[-_MOST_LETTERS // 2 :]}"
    lines = [""]
    for word in text.split():
        if font.getlength(joined := f"{lines[-1]} {word}".lstrip()) <= width:
            lines[-1] = joined
            continue
        lines += [""] if lines[-1] else []
        for letter in word:
            lines += [""] if lines[-1] and font.getlength(lines[-1] + letter) > width else []
            lines[-1] += letter
    return lines
