"""What is read as a picture is whole, upright, opaque and of a bearable size; what is written has one form."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

from kyara_artifacts import BadPicture, contact_sheet, open_store, png_bytes, put_picture, read_picture

RNG = np.random.default_rng(11)
NOISE = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)


def encoded(picture: PIL.Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def noise(form: str, **options: object) -> bytes:
    return encoded(PIL.Image.fromarray(NOISE), form, **options)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is that large, with pixels that never end well."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP", "TIFF"])
def test_a_picture_comes_as_its_rgb_pixels(form: str) -> None:
    picture = read_picture(noise(form, **({"lossless": True} if form == "WEBP" else {})))
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), NOISE)


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    form = "TIFF" if mode == "CMYK" else "PNG"
    source = PIL.Image.fromarray(NOISE[..., 0].astype(np.uint16)) if mode == "I;16" else PIL.Image.fromarray(NOISE).convert(mode)
    picture = read_picture(encoded(source, form))
    assert (picture.mode, picture.size) == ("RGB", (64, 48))


@pytest.mark.parametrize(
    ("width", "height", "said"),
    [(8001, 8000, "8001x8000 px are more than 64000000 px"), (60_000, 60_000, "3600000000"), (2**31 - 1, 1, "2147483647")],
)
def test_an_image_bomb_is_refused_before_its_pixels_are_decoded(width: int, height: int, said: str) -> None:
    with pytest.raises(BadPicture, match=said):
        read_picture(bomb(width, height))


def test_the_limit_itself_is_allowed() -> None:
    assert read_picture(noise("PNG"), max_pixels=64 * 48).size == (64, 48)
    with pytest.raises(BadPicture, match="64x48"):
        read_picture(noise("PNG"), max_pixels=64 * 48 - 1)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_part_of_a_picture_is_refused(form: str, share: float) -> None:
    data = noise(form)
    with pytest.raises(BadPicture, match="cannot be decoded"):
        read_picture(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data", [b"", b"<!doctype html><html><body>404</body></html>", b"\x89PNG\r\n\x1a\n", b"GIF89a", bytes(1000), bomb(64, 48)]
)
def test_what_is_no_picture_is_refused_for_the_same_reason_each_time(data: bytes) -> None:
    reasons = set[str]()
    for _ in range(2):
        with pytest.raises(BadPicture, match="cannot be decoded") as caught:
            read_picture(data)
        reasons.add(str(caught.value))
    assert len(reasons) == 1
    assert " 0x" not in reasons.pop()


def test_a_png_with_a_flipped_bit_is_refused() -> None:
    data = bytearray(noise("PNG"))
    data[len(data) // 2] ^= 1
    with pytest.raises(BadPicture):
        read_picture(bytes(data))


def test_transparent_parts_become_white() -> None:
    half = np.dstack([np.full((2, 2, 3), 100, np.uint8), np.array([[0, 255], [255, 0]], np.uint8)])
    seen = np.asarray(read_picture(encoded(PIL.Image.fromarray(half), "PNG")))
    assert seen[..., 0].tolist() == [[255, 100], [100, 255]]


def test_a_transparent_palette_colour_becomes_white() -> None:
    palette = PIL.Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 0, 0])
    palette.putdata([0, 1])
    seen = read_picture(encoded(palette, "PNG", transparency=0))
    assert [seen.getpixel((0, 0)), seen.getpixel((1, 0))] == [(255, 255, 255), (200, 0, 0)]


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, -1), (8, 1)])
def test_a_picture_that_says_it_lies_on_its_side_is_set_upright(orientation: int, turn: int) -> None:
    upright = np.zeros((40, 64, 3), np.uint8)
    upright[:20, :32] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    lying = PIL.Image.fromarray(np.rot90(upright, -turn).copy())
    seen = np.asarray(read_picture(encoded(lying, "JPEG", quality=95, exif=exif)))
    assert seen.shape == upright.shape
    assert np.abs(seen.astype(int) - upright).mean() < 3


def test_the_same_pixels_are_the_same_bytes() -> None:
    assert png_bytes(NOISE) == png_bytes(PIL.Image.fromarray(NOISE)) == png_bytes(read_picture(png_bytes(NOISE)))


def test_what_a_picture_was_read_from_leaves_no_trace_in_what_is_written() -> None:
    text = PngInfo()
    text.add_text("parameters", "a secret prompt")
    spoken = noise("PNG", pnginfo=text, dpi=(72, 72), icc_profile=b"profile", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    assert png_bytes(read_picture(spoken)) == png_bytes(NOISE)


def test_put_picture_gives_the_digest_and_the_size(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}")
    for picture in (NOISE, PIL.Image.fromarray(NOISE)):
        digest, width, height = put_picture(store, picture)
        assert (width, height) == (64, 48)
        assert np.array_equal(np.asarray(read_picture(store.get(digest))), NOISE)


COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (0, 200, 200)]
PICTURES = [PIL.Image.new("RGB", (50 + 20 * n, 90), colour) for n, colour in enumerate(COLOURS)]


def test_a_sheet_shows_every_picture_in_its_cell_with_its_caption() -> None:
    sheet = read_picture(contact_sheet(PICTURES, [f"{n}: a caption" for n in range(5)], columns=2, cell=100))
    assert sheet.size == (2 * 106 + 6, 3 * 122 + 6)
    for place, colour in enumerate(COLOURS):
        assert sheet.getpixel((6 + place % 2 * 106 + 50, 6 + place // 2 * 122 + 50)) == colour
    strip = np.asarray(sheet)[6 + 100 : 6 + 116, 6:106]
    assert strip.min() < 128, "the caption is not there"
    empty_cell = np.asarray(sheet)[6 + 2 * 122 : 6 + 3 * 122, 112:]
    assert empty_cell.min() > 200


@pytest.mark.parametrize(
    ("caption", "lines"),
    [
        ("black and white", 1),
        ("like 12% of the character's pictures, 50% are wanted", 4),
        ("nearly the same as 0123456789abcdef0123456789abcdef.png", 5),
        ("a" * 10_000, 10),
    ],
)
def test_a_long_caption_goes_on_in_the_next_line(caption: str, lines: int) -> None:
    sheet = np.asarray(read_picture(contact_sheet(PICTURES, [caption, *[""] * 4], columns=2, cell=100)))
    row = 100 + 3 + 13 * lines
    assert sheet.shape[:2] == (3 * (row + 6) + 6, 2 * 106 + 6)
    inked = [sheet[6 + 102 + 13 * line :][:13, 6:106].min() < 128 for line in range(lines)]
    assert all(inked), "a line is empty"
    assert sheet[6 + 100 : 6 + row + 6, [3, 108]].min() > 200, "the caption runs out of its cell"
    assert sheet[6 + row : 6 + row + 6].min() > 200, "the caption runs into the next row"


def test_a_sheet_is_the_same_each_time_and_may_be_empty() -> None:
    pictures = [PIL.Image.fromarray(NOISE)] * 3
    assert contact_sheet(pictures, columns=2) == contact_sheet(pictures, columns=2)
    assert read_picture(contact_sheet([], columns=3, cell=10)).size == (54, 22)
