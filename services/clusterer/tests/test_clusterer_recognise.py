"""Who is recognised, and who is left to a person."""

import numpy as np

from kyara_artifacts import Image
from kyara_clusterer.recognise import Likeness, likenesses
from services.clusterer.tests.test_clusterer_search import METRIC, in_plane


def crops(*indexes: int, frames: dict[int, int] | None = None) -> list[Image]:
    """A crop of each index, in a frame of its own but for those in `frames`, which share another's."""
    frames = frames or {}
    entry = Image(name="", sha256="0" * 64, size=1, width=1, height=1, source="e")
    return [
        entry.model_copy(
            update={"name": str(n), "index": index, "parent": str(frames.get(n, n)), "parent_box": (n * 9, 0, n * 9 + 8, 9)}
        )
        for n, index in enumerate(indexes)
    ]


def found(crops: list[Image], features: np.ndarray, **references: np.ndarray) -> list[Likeness]:
    return likenesses(crops, features, references, METRIC)


def test_an_index_gets_the_name_of_whom_it_shows() -> None:
    shown = in_plane(0, 5, 10, 120, 125, 130)
    first, second = found(crops(0, 0, 0, 1, 1, 1), shown, miku=in_plane(3, 8), luka=in_plane(122, 128))
    assert (first.name, first.score, first.next_name, first.next_score, first.certain) == ("miku", 1.0, "luka", 0.0, True)
    assert (second.name, second.certain) == ("luka", True)


def test_a_stranger_is_recognised_as_nobody() -> None:
    (stranger,) = found(crops(0, 0, 0), in_plane(90, 92, 94), miku=in_plane(0, 5))
    assert (stranger.name, stranger.score, stranger.certain) == ("miku", 0.0, False)


def test_who_is_like_two_is_left_to_a_person() -> None:
    (between,) = found(crops(0, 0, 0), in_plane(40, 42, 44), miku=in_plane(10, 20), luka=in_plane(60, 70))
    assert between.score == between.next_score == 1.0
    assert not between.certain


def test_noise_is_no_index() -> None:
    assert [each.index for each in found(crops(0, -1, 0), in_plane(0, 5, 9), miku=in_plane(2))] == [0]


BOTH_LIKE_MIKU = in_plane(0, 2, 4, 44, 46, 48)
"""Two indexes; the model calls nearly all pairs of both the same as pictures at 2 and 4 degrees."""


def certain(shown: np.ndarray, frames: dict[int, int]) -> list[bool]:
    return [each.certain for each in found(crops(0, 0, 0, 1, 1, 1, frames=frames), shown, miku=in_plane(2, 4))]


def test_of_two_who_stand_side_by_side_the_clearly_nearer_is_the_character() -> None:
    assert certain(BOTH_LIKE_MIKU, {3: 0, 4: 1}) == [True, False]


def test_two_who_stand_side_by_side_and_are_about_as_near_are_left_to_a_person() -> None:
    nearly = in_plane(26, 27, 28, -22, -23, -24)
    assert certain(nearly, {3: 0, 4: 1}) == [False, False]
    assert certain(nearly, {3: 0}) == [True, True], "one frame alone may be a wrong box"


def test_two_indexes_of_one_character_get_its_name_when_about_as_near() -> None:
    assert certain(in_plane(26, 27, 28, -22, -23, -24), {}) == [True, True]
    assert certain(BOTH_LIKE_MIKU, {}) == [True, False], "who is much further away may be a look-alike"
