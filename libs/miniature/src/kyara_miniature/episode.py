"""Episodes: anime-like videos with exact ground truth, drawn on twos and encoded as H.264 in Matroska."""

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import PIL.ImageFilter
import resvg_py
from av.codec.context import Flags

from kyara_miniature.backdrop import draw_backdrop
from kyara_miniature.cards import draw_credits, draw_title
from kyara_miniature.figure import Figure, draw_figure, random_view
from kyara_miniature.hand import HOUSE
from kyara_miniature.scene import Box, FigureTruth, Placed, unhidden
from kyara_miniature.script import Actor, Script, Shot, write_script

DRAWINGS_PER_S = 12
BEAT = 9
"""Drawings between two changes of pose."""
WIDE = 1.4
"""Width of a backdrop as a share of the frame's, so that the camera can pan."""


@dataclass(frozen=True)
class ShotTruth:
    """When a shot is on, and whether it shows an earlier one again."""

    start_s: float
    end_s: float
    kind: str
    repeats: int | None


@dataclass(frozen=True)
class DrawingTruth:
    """The figures that are to be seen from `start_s` until the next drawing."""

    start_s: float
    shot: int
    figures: tuple[FigureTruth, ...]


@dataclass(frozen=True)
class EpisodeTruth:
    """All that is known of an episode."""

    width: int
    height: int
    main: tuple[str, ...]
    shots: tuple[ShotTruth, ...]
    drawings: tuple[DrawingTruth, ...]

    def at(self, time_s: float) -> list[FigureTruth]:
        """The figures to be seen at a time."""
        # Times are kept in ms: 78.583 is the first drawing of second 78 7/12.
        index = min(int(time_s * DRAWINGS_PER_S + 0.01), len(self.drawings) - 1)
        return list(self.drawings[index].figures)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), separators=(",", ":")))

    @classmethod
    def load(cls, path: Path) -> "EpisodeTruth":
        """Read what `save` wrote."""
        data = json.loads(path.read_text())
        shots = tuple(ShotTruth(**shot) for shot in data["shots"])
        drawings = tuple(
            DrawingTruth(d["start_s"], d["shot"], tuple(_figure_truth(figure) for figure in d["figures"]))
            for d in data["drawings"]
        )
        return cls(data["width"], data["height"], tuple(data["main"]), shots, drawings)


def make_episode(
    path: Path,
    seed: int,
    *,
    seconds: float = 75,
    main: int = 3,
    extras: int = 1,
    width: int = 1280,
    height: int = 720,
    look_alikes: bool = False,
) -> EpisodeTruth:
    """Draw and encode an episode to `path`, its truth beside it as `.truth.json`; same seed, same bytes."""
    script = write_script(seed, seconds, main, extras, look_alikes)
    drawings: list[DrawingTruth] = []
    shots: list[ShotTruth] = []
    with av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("libx264", rate=2 * DRAWINGS_PER_S)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # One thread: with more, the bytes depend on their timing.
        stream.thread_count = 1
        stream.options = {"crf": "20", "preset": "veryfast", "g": str(10 * DRAWINGS_PER_S), "bf": "2"}
        stream.codec_context.flags |= Flags.bitexact
        count = 0
        for number, shot in enumerate(script.shots):
            start = len(drawings)
            for picture, figures in _Stage(shot, width, height).drawings():
                drawings.append(DrawingTruth(len(drawings) / DRAWINGS_PER_S, number, figures))
                for _ in range(2):
                    frame = av.VideoFrame.from_image(picture)
                    frame.pts, frame.time_base = count, Fraction(1, 2 * DRAWINGS_PER_S)
                    count += 1
                    file.mux(stream.encode(frame))
            shots.append(ShotTruth(start / DRAWINGS_PER_S, len(drawings) / DRAWINGS_PER_S, shot.kind, shot.repeats))
        file.mux(stream.encode(None))
    truth = EpisodeTruth(width, height, _identities(script), tuple(shots), tuple(drawings))
    truth.save(path.with_suffix(".truth.json"))
    return truth


class _Stage:
    """A shot being drawn."""

    def __init__(self, shot: Shot, width: int, height: int) -> None:
        self._shot, self._width, self._height = shot, width, height
        self._count = max(1, round(shot.seconds * DRAWINGS_PER_S))

    def drawings(self) -> Iterator[tuple[PIL.Image.Image, tuple[FigureTruth, ...]]]:
        """Each drawing with the figures in it."""
        shot = self._shot
        if shot.kind == "black":
            yield from ((PIL.Image.new("RGB", (self._width, self._height)), ()) for _ in range(self._count))
        elif shot.kind == "title":
            yield from ((draw_title(self._width, self._height, shot.seed), ()) for _ in range(self._count))
        elif shot.kind == "credits":
            for number in range(self._count):
                yield draw_credits(self._width, self._height, shot.seed, number / self._count), ()
        else:
            yield from (self._drawing(number) for number in range(self._count))

    def _drawing(self, number: int) -> tuple[PIL.Image.Image, tuple[FigureTruth, ...]]:
        moved = self._shot.pan * number / DRAWINGS_PER_S
        spare = int(self._width * (WIDE - 1))
        left = int(np.clip((0.5 * (WIDE - 1) + moved) * self._width, 0, spare))
        wide = _backdrop(self._shot.place, self._shot.seed, int(self._width * WIDE), self._height)
        picture = wide.crop((left, 0, left + self._width, self._height))
        placed: list[Placed] = []
        for actor in sorted(self._shot.actors, key=lambda each: each.size):
            layer = _layer(actor, number // BEAT, self._height)
            x, y = self._position(actor, layer, number, moved)
            picture.paste(layer.image, (x, y), layer.image)
            placed.append(Placed(layer.figure, layer.scale, x + layer.x, y + layer.y, layer.mirrored))
        if self._shot.blur:
            picture = picture.filter(PIL.ImageFilter.GaussianBlur(self._shot.blur * self._height / 720))
        truths = (each.truth(self._width, self._height) for each in unhidden(placed))
        return picture, tuple(truth for truth in truths if truth)

    def _position(self, actor: Actor, layer: "_Layer", number: int, moved: float) -> tuple[int, int]:
        """Where the layer's corner goes: the actor walks, bobs a little, and shifts against the camera."""
        walked = actor.x + actor.walk * number / DRAWINGS_PER_S - moved
        bob = 0.006 * np.sin(number * 0.9 + actor.seed % 7) * actor.size
        x = round(walked * self._width - layer.x)
        return x, round((actor.head + bob) * self._height)


@dataclass(frozen=True)
class _Layer:
    """A figure on nothing, and where the origin of its space lies in it."""

    image: PIL.Image.Image
    figure: Figure
    scale: float
    x: float
    y: float
    mirrored: bool


@lru_cache(maxsize=24)
def _layer(actor: Actor, beat: int, height: int) -> _Layer:
    """The actor as drawn for one beat."""
    rng = np.random.default_rng([actor.seed, beat])
    view = random_view(rng, actor.character, "full_body")
    figure = draw_figure(actor.character, replace(view, outfit=actor.outfit), HOUSE, "a")
    xs, ys = [x for x, _ in figure.person], [y for _, y in figure.person]
    scale = actor.size * height / (max(ys) - min(ys))
    half = max(-min(xs), max(xs)) * scale + 4
    below = min(max(ys) * scale + 4, 1.2 * height - min(ys) * scale)
    x, y = half, -min(ys) * scale
    size = (int(2 * half) + 1, int(y + below) + 1)
    sx = -scale if view.mirrored else scale
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}"><defs>{figure.defs}</defs>'
        f'<g transform="matrix({sx:.5f} 0 0 {scale:.5f} {x:.2f} {y:.2f})">{figure.svg}</g></svg>'
    )
    return _Layer(_rendered(svg, "RGBA"), figure, scale, x, y, view.mirrored)


@lru_cache(maxsize=4)
def _backdrop(place: str, seed: int, width: int, height: int) -> PIL.Image.Image:
    drawn = draw_backdrop(np.random.default_rng(seed), width, height, HOUSE, place)
    return _rendered(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"><defs>{drawn.defs}</defs>{drawn.svg}</svg>',
        "RGB",
    )


def _rendered(svg: str, mode: str) -> PIL.Image.Image:
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))
    return PIL.Image.open(io.BytesIO(png)).convert(mode)


def _identities(script: Script) -> tuple[str, ...]:
    return tuple(each.identity for each in script.main)


def _figure_truth(data: dict[str, Any]) -> FigureTruth:
    boxes = tuple(Box(**box) for box in data["boxes"])
    return FigureTruth(data["identity"], data["outfit"], tuple(data["tags"]), boxes, data["height_px"])
