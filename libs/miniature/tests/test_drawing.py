"""Characters, hands, figures and scenes: the same seed draws the same, and the truth lies where the drawing is."""

import hashlib

import numpy as np
import pytest

from kyara_miniature.cast import BOY_HAIR, GIRL_HAIR, Character, look_alike, make_character
from kyara_miniature.clothes import POSES
from kyara_miniature.face import EXPRESSIONS
from kyara_miniature.figure import FRAMINGS, Figure, View, draw_figure, random_view
from kyara_miniature.hand import HOUSE, OTHER, Hand, random_hand
from kyara_miniature.scene import BOX_KINDS, FigureTruth, Picture, draw_portrait, draw_scene, render
from kyara_miniature.tags import TAGS

CAST = [make_character(1_000_000 + number) for number in range(200)]


def portrait(character: Character, view: View, *, hand: Hand = HOUSE, seed: int = 0, size: int = 192) -> Picture:
    return draw_portrait(character, view, width=size, height=size, hand=hand, rng=np.random.default_rng(seed))


def boxes(figure: FigureTruth) -> dict[str, tuple[float, float, float, float]]:
    return {box.kind: (box.x0, box.y0, box.x1, box.y1) for box in figure.boxes}


def inside(inner: tuple[float, ...], outer: tuple[float, ...], slack: float = 0.5) -> bool:
    return (
        inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )


def test_tags_are_each_listed_once() -> None:
    assert len(set(TAGS)) == len(TAGS)


def test_a_seed_is_one_character_and_seeds_differ() -> None:
    assert make_character(1_000_007) == make_character(1_000_007)
    assert len({character.identity for character in CAST}) == len(CAST)
    looks = {(c.hair_style, c.hair_color, c.eye_color, c.accessories, c.outfits) for c in CAST}
    assert len(looks) == len(CAST)


def test_the_cast_is_varied() -> None:
    assert {character.hair_style for character in CAST} == {*GIRL_HAIR, *BOY_HAIR}
    assert len({character.hair_name for character in CAST}) >= 10
    assert len({character.eye_name for character in CAST}) >= 8
    assert len({outfit.kind for character in CAST for outfit in character.outfits}) >= 10
    assert all(len(character.outfits) >= 2 for character in CAST)
    assert all(len({outfit.name for outfit in character.outfits}) == len(character.outfits) for character in CAST)


def test_a_look_alike_is_somebody_else_with_the_same_hair() -> None:
    for number, character in enumerate(CAST[:40]):
        other = look_alike(character, number)
        assert other.identity != character.identity
        assert (other.hair_style, other.hair_color, other.bangs) == (character.hair_style, character.hair_color, character.bangs)
        assert other.eye_name != character.eye_name
        assert other.accessories != character.accessories


def test_the_other_hand_lies_outside_the_random_ones() -> None:
    hands = [random_hand(seed) for seed in range(300)]
    assert hands[5] == random_hand(5)
    assert all(hand.eye_style != OTHER.eye_style and hand.nose != OTHER.nose for hand in hands)
    assert max(hand.body for hand in hands) < OTHER.body
    assert min(hand.eye_size for hand in hands) > OTHER.eye_size
    assert min(hand.saturation for hand in hands) > OTHER.saturation


@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_same_view_draws_the_same_pixels(framing: str) -> None:
    view = random_view(np.random.default_rng(3), CAST[3], framing)
    first, again = portrait(CAST[3], view), portrait(CAST[3], view)
    assert first.image.dtype == np.uint8
    assert first.image.shape == (192, 192, 3)
    assert np.array_equal(first.image, again.image)
    assert first.figures == again.figures


def test_every_tag_of_a_picture_is_in_the_vocabulary() -> None:
    rng = np.random.default_rng(1)
    seen: set[str] = set()
    for character in CAST:
        view = random_view(rng, character)
        figure = draw_figure(character, view, HOUSE, "a")
        seen |= {*figure.tags}
    seen |= {tag for number in range(24) for tag in draw_scene(number, width=160, height=96).tags}
    assert seen <= set(TAGS)
    assert len(seen) >= 60


def test_views_cover_every_expression_pose_and_framing() -> None:
    rng = np.random.default_rng(2)
    views = [random_view(rng, CAST[0]) for _ in range(400)]
    assert {view.expression for view in views} == set(EXPRESSIONS)
    assert {view.pose for view in views} == set(POSES)
    assert {view.framing for view in views} == set(FRAMINGS)
    assert {view.outfit for view in views} == set(range(len(CAST[0].outfits)))


def test_a_portrait_says_how_it_is_framed_and_that_it_is_of_one() -> None:
    for framing in FRAMINGS:
        picture = portrait(CAST[1], random_view(np.random.default_rng(4), CAST[1], framing))
        assert {framing, "solo"} <= set(picture.tags)
        assert [figure.identity for figure in picture.figures] == [CAST[1].identity]


def test_the_face_is_in_the_head_and_the_head_in_the_person() -> None:
    rng = np.random.default_rng(5)
    for number, character in enumerate(CAST[:24]):
        view = random_view(rng, character, "full_body")
        (figure,) = portrait(character, view, hand=(HOUSE, random_hand(number))[number % 2], seed=number).figures
        found = boxes(figure)
        assert tuple(found) == BOX_KINDS
        assert inside(found["face"], found["head"])
        assert inside(found["head"], found["person"])
        assert inside(found["halfbody"], found["person"])
        assert found["halfbody"][1] == pytest.approx(found["person"][1])
        assert found["halfbody"][3] < found["person"][3]


def drawn_extent(figure: Figure, scale: float, side: int) -> tuple[float, float, float, float]:
    """Where the ink of a figure alone is, in px."""
    group = f'<g transform="translate({side / 2} {side / 2}) scale({scale})">{figure.svg}</g>'
    white = f'<rect width="{side}" height="{side}" fill="#00ff00"/>'
    image = render(figure.defs, white + group, [], side, side).astype(int)
    ink = np.abs(image - np.array([0, 255, 0])).sum(axis=2) > 90
    ys, xs = np.nonzero(ink)
    return float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)


def test_the_person_box_holds_the_ink_closely() -> None:
    rng = np.random.default_rng(6)
    for character in CAST[:30]:
        figure = draw_figure(character, random_view(rng, character), HOUSE, "a")
        side, scale = 480, 0.38
        ink = drawn_extent(figure, scale, side)
        xs, ys = [x * scale + side / 2 for x, _ in figure.person], [y * scale + side / 2 for _, y in figure.person]
        box = (min(xs), min(ys), max(xs), max(ys))
        assert np.abs(np.subtract(ink, box)).max() < 0.025 * (ink[3] - ink[1])


def test_boxes_lie_inside_the_picture() -> None:
    for number in range(16):
        picture = draw_scene(number, width=320, height=192)
        for figure in picture.figures:
            for box in figure.boxes:
                assert 0 <= box.x0 < box.x1 <= 320
                assert 0 <= box.y0 < box.y1 <= 192
            assert figure.height_px > 0


def test_a_scene_is_drawn_again_the_same_and_holds_as_many_figures_as_asked() -> None:
    first, again = draw_scene(11, width=320, height=192), draw_scene(11, width=320, height=192)
    assert np.array_equal(first.image, again.image)
    assert first.figures == again.figures
    assert not draw_scene(12, width=96, height=64, figures=0).figures
    cast = CAST[:2]
    identities = {f.identity for n in range(6) for f in draw_scene(n, width=96, height=64, cast=cast, figures=3).figures}
    assert identities <= {each.identity for each in cast}


def test_no_line_of_the_drawing_has_moved_since_the_models_were_trained_on_it() -> None:
    """Change the drawing and the committed models have to be trained anew (`make models`): then renew this digest."""
    digest = hashlib.sha256()
    for number, character in enumerate(CAST):
        view = random_view(np.random.default_rng(number), character)
        figure = draw_figure(character, view, (HOUSE, OTHER, random_hand(number))[number % 3], "a")
        digest.update((figure.svg + figure.defs).encode())
    assert digest.hexdigest() == "3a9451d39a39a2030bda25c04d6012d0755d095b757b96f32c3d8284ccce68f1"
