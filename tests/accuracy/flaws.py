"""The quality filter against flaws of our own making: clean crops, and the same crops blurred, smeared, compressed."""

import io
from collections.abc import Callable, Sequence

import av
import numpy as np
import PIL.Image
from PIL.ImageFilter import GaussianBlur
from sklearn.metrics import roc_auc_score

from kyara_artifacts import Image, read_picture
from kyara_curator.framing import framing_of
from kyara_curator.geometry import boxes_inside, padded
from kyara_curator.quality import Flaws, flaws_of
from tests.accuracy.season import Rooms, Seen

PICTURES = 60
Spoil = Callable[[PIL.Image.Image, float, np.random.Generator], PIL.Image.Image]


def flaw_aucs(rooms: Rooms, seen: Seen) -> dict[str, float]:
    """AUC of the quality, by flaw: how surely a crop with it is worse than one without."""
    rng = np.random.default_rng(seen.seed)
    clean = [crop for crop in seen.crops if _head(crop) and not _framing_flaw(crop)]
    clean = clean[:: max(1, len(clean) // PICTURES)][:PICTURES]
    pictures = [read_picture(rooms.store.get(crop.digest)) for crop in clean]
    good = [_flaws(picture, crop, seen).quality for picture, crop in zip(pictures, clean, strict=True)]
    aucs = {}
    for name, spoil in SPOILS.items():
        spoiled = [spoil(picture, _head(crop), rng) for picture, crop in zip(pictures, clean, strict=True)]
        aucs[f"auc_{name}"] = _auc(
            good, [_flaws(picture, crop, seen).quality for picture, crop in zip(spoiled, clean, strict=True)]
        )
    return aucs


def blurred(picture: PIL.Image.Image, head: float, rng: np.random.Generator) -> PIL.Image.Image:
    """Out of focus by 2.5 to 6 % of the head's height."""
    return picture.filter(GaussianBlur(max(1.2, rng.uniform(0.025, 0.06) * head)))


def smeared(picture: PIL.Image.Image, head: float, rng: np.random.Generator) -> PIL.Image.Image:
    """Moved by 8 to 20 % of the head's height while the shutter was open."""
    length, angle = max(4.0, rng.uniform(0.08, 0.2) * head), rng.uniform(0, np.pi)
    pixels = np.asarray(picture, dtype=np.float32)
    places = np.linspace(-0.5, 0.5, max(3, int(length))) * length
    moved = [np.roll(pixels, (round(p * np.sin(angle)), round(p * np.cos(angle))), (0, 1)) for p in places]
    return PIL.Image.fromarray(np.mean(moved, axis=0).astype(np.uint8))


def as_jpeg(picture: PIL.Image.Image, _head: float, rng: np.random.Generator) -> PIL.Image.Image:
    """JPEG at a quality of 5 to 15."""
    buffer = io.BytesIO()
    picture.save(buffer, "jpeg", quality=int(rng.integers(5, 16)))
    return PIL.Image.open(buffer).convert("RGB")


def as_video(picture: PIL.Image.Image, _head: float, rng: np.random.Generator) -> PIL.Image.Image:
    """A frame of H.264 at a CRF of 38 to 45."""
    width, height = picture.width // 2 * 2, picture.height // 2 * 2
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(int(rng.integers(38, 46))), "preset": "veryfast"}
        file.mux(stream.encode(av.VideoFrame.from_image(picture.crop((0, 0, width, height)))))
        file.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as file:
        return next(file.decode(video=0)).to_image()


SPOILS: dict[str, Spoil] = {"blur": blurred, "smear": smeared, "jpeg": as_jpeg, "h264": as_video}


def _auc(good: Sequence[float], bad: Sequence[float]) -> float:
    return round(float(roc_auc_score([1] * len(good) + [0] * len(bad), [*good, *bad])), 4)


def _flaws(picture: PIL.Image.Image, crop: Image, seen: Seen) -> Flaws:
    frame = next(frame for frame in seen.figures if frame.name == crop.parent)
    person = next(box for box in frame.boxes if box.kind == "person" and padded(box, frame.width, frame.height) == _corners(crop))
    boxes = boxes_inside([box for box in frame.boxes if box.kind != "person"], _corners(crop))
    return flaws_of(picture, boxes, framing_of(person, frame))


def _corners(crop: Image) -> tuple[int, int, int, int]:
    assert crop.parent_box
    x0, y0, x1, y1 = crop.parent_box
    return int(x0), int(y0), int(x1), int(y1)


def _head(crop: Image) -> float:
    """Height of the crop's head in px; 0 without one."""
    return next((box.y1 - box.y0 for box in crop.boxes if box.kind == "head"), 0.0)


def _framing_flaw(crop: Image) -> bool:
    return max(crop.scores["cut_off"], crop.scores["occlusion"]) > 0.5
