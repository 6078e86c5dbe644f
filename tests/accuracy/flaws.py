"""The quality filter against flaws of our own making: clean crops, and the same crops blurred, smeared, compressed; heads
cut off by the frame and figures behind others, as the episode's truth has them."""

import io
from collections.abc import Callable, Sequence

import av
import numpy as np
import PIL.Image
from PIL.ImageFilter import GaussianBlur
from sklearn.metrics import roc_auc_score

from kyara_artifacts import Box, Image, read_picture
from kyara_cli.demo.results import figure_at
from kyara_curator.framing import framing_of
from kyara_curator.geometry import boxes_inside, padded
from kyara_curator.quality import Flaws, flaws_of
from kyara_miniature.scene import FigureTruth
from tests.accuracy.season import Rooms, Seen

PICTURES = 60
COVERED_SHARE = 0.3
"""A head of which more is behind somebody is hidden."""
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
        aucs[name] = _auc(good, [_flaws(picture, crop, seen).quality for picture, crop in zip(spoiled, clean, strict=True)])
    return {**aucs, **_framing_aucs(seen)}


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


def _framing_aucs(seen: Seen) -> dict[str, float]:
    """Of all persons found in the frames: is the head cut off, is the figure hidden, by truth and by the boxes."""
    cut: tuple[list[float], list[float]] = ([], [])
    hidden: tuple[list[float], list[float]] = ([], [])
    for frame in seen.figures:
        figures = seen.truth.at(frame.time_s or 0.0)
        for box in (each for each in frame.boxes if each.kind == "person"):
            figure = figure_at((box.x0, box.y0, box.x1, box.y1), frame.time_s or 0.0, seen.truth)
            if figure and (head := _box_of(figure, "head")):
                framing = framing_of(box, frame)
                cut[_is_cut(head, frame)].append(1 - framing.cut_off)
                hidden[_is_hidden(figure, figures)].append(1 - framing.occlusion)
    return {name: _auc(*sides) for name, sides in (("cut_off", cut), ("occlusion", hidden)) if all(sides)}


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


def _box_of(figure: FigureTruth, kind: str) -> Box | None:
    found = next((box for box in figure.boxes if box.kind == kind), None)
    return found and Box(kind=kind, x0=found.x0, y0=found.y0, x1=found.x1, y1=found.y1, score=1)


def _is_cut(head: Box, frame: Image) -> bool:
    """Whether the true head, clipped to the frame, ends at its border."""
    return head.x0 <= 0 or head.y0 <= 0 or head.x1 >= frame.width or head.y1 >= frame.height


def _is_hidden(figure: FigureTruth, figures: Sequence[FigureTruth]) -> bool:
    """Whether a larger figure, which is drawn in front, covers much of the head."""
    head = _box_of(figure, "head")
    assert head
    for other in figures:
        person = _box_of(other, "person")
        if other is not figure and other.height_px > figure.height_px and person:
            x = min(head.x1, person.x1) - max(head.x0, person.x0)
            y = min(head.y1, person.y1) - max(head.y0, person.y0)
            if max(0, x) * max(0, y) >= COVERED_SHARE * (head.x1 - head.x0) * (head.y1 - head.y0):
                return True
    return False
