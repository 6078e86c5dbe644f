"""What is called credits: lines of text over one flat colour, and nothing with a figure in it."""

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont
import pytest

from kyara_keyframer.text import TEXT_SIZE, is_text_only
from kyara_miniature.cast import make_character
from kyara_miniature.figure import draw_figure, random_view
from kyara_miniature.hand import HOUSE
from kyara_miniature.scene import Placed, draw_scene, render

NAMES = (
    "Key Animation",
    "Hoshino Akira    Tanaka Midori",
    "Sound Director",
    "Fujiwara Ren",
    "In-Between Animation",
    "Studio Kyara",
)
SIZE = (1280, 720)


def small(picture: PIL.Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L").resize(TEXT_SIZE, PIL.Image.Resampling.BOX))


def roll(paper: str, ink: str, font_px: int, top: int, left: int | None = None) -> PIL.Image.Image:
    """Credits from the height `top` down: lines of one font in the middle, or at `left`."""
    picture = PIL.Image.new("RGB", SIZE, paper)
    pen, font = PIL.ImageDraw.Draw(picture), PIL.ImageFont.load_default(font_px)
    for number in range(40):
        y = top + number * 2 * font_px
        x = left if left is not None else (SIZE[0] - pen.textlength(NAMES[number % 6], font)) / 2
        pen.text((x, y), NAMES[number % 6], ink, font)
    return picture


@pytest.mark.parametrize(
    ("paper", "ink", "font_px", "top", "left"),
    [
        ("black", "white", 28, 40, None),
        ("black", "white", 40, 500, None),
        ("white", "black", 24, 10, 60),
        ("#203060", "#ffe080", 32, 80, 700),
        ("#e08080", "white", 56, 100, None),
    ],
)
def test_lines_of_text_over_one_colour_are_credits(paper: str, ink: str, font_px: int, top: int, left: int | None) -> None:
    page = roll(paper, ink, font_px, top, left)
    assert is_text_only(small(page))
    noisy = np.clip(np.asarray(page) + np.random.default_rng(1).normal(0, 3, (SIZE[1], SIZE[0], 1)), 0, 255)
    assert is_text_only(small(PIL.Image.fromarray(noisy.astype(np.uint8))))


def test_text_beside_a_figure_is_no_credits() -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        character = make_character(seed)
        figure = draw_figure(character, random_view(rng, character, "full_body"), HOUSE, "a")
        top, bottom = (at(y for _, y in figure.person) for at in (min, max))
        scale = (0.2 + 0.1 * seed) * SIZE[1] / (bottom - top)
        drawn = PIL.Image.fromarray(render("", "", [Placed(figure, scale, 300, 20 - top * scale, False)], *SIZE))
        page = roll("black", "white", 28, 60, 700)
        page.paste(drawn.crop((0, 0, 640, 720)), (0, 0))
        assert not is_text_only(small(page))


def test_no_scene_is_called_credits() -> None:
    called = [
        seed for seed in range(30) if is_text_only(small(PIL.Image.fromarray(draw_scene(seed, width=480, height=270).image)))
    ]
    assert not called


def test_a_drawing_in_outlines_a_page_of_one_colour_and_a_blurred_page_are_no_credits() -> None:
    outlines = PIL.Image.new("RGB", SIZE, "white")
    pen = PIL.ImageDraw.Draw(outlines)
    for x in range(200, 1000, 90):
        pen.ellipse((x, 60, x + 240, 360), outline="black", width=4)
        pen.line((x + 120, 360, x + 100, 700), fill="black", width=4)
    assert not is_text_only(small(outlines))
    assert not is_text_only(small(PIL.Image.new("RGB", SIZE, "black")))
    assert not is_text_only(small(roll("black", "white", 28, 40).filter(PIL.ImageFilter.GaussianBlur(12))))
