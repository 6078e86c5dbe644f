"""What telling a character's outfits apart promises, and what is told of an index."""

import numpy as np
import pytest

from kyara_artifacts import Image
from kyara_clusterer.outfits import outfits_of
from kyara_clusterer.portraits import portraits
from services.clusterer.tests.test_clusterer_search import in_plane, relation_of


def crops(count: int) -> list[Image]:
    entry = Image(name="", sha256="0" * 64, size=1, width=1, height=1, source="e")
    return [entry.model_copy(update={"name": str(n), "time_s": float(n)}) for n in range(count)]


def colours(*outfits: int, seed: int = 0) -> np.ndarray:
    """A vector of 20 colours for each crop, by outfit; -1 is not seen."""
    rng = np.random.default_rng(seed)
    palettes = rng.random((8, 20)) ** 4
    rows = np.array([palettes[each] * (each >= 0) for each in outfits])
    rows *= 1 + 0.05 * rng.normal(size=rows.shape)
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def alone(count: int) -> np.ndarray:
    return np.arange(count)


def test_outfits_are_told_apart_and_the_one_seen_most_is_first() -> None:
    worn = [0] * 5 + [1] * 9 + [2] * 6
    found = outfits_of(crops(20), colours(*worn), alone(20))
    assert found.tolist() == [2] * 5 + [0] * 9 + [1] * 6


def test_one_outfit_is_one() -> None:
    assert set(outfits_of(crops(20), colours(*[3] * 20), alone(20)).tolist()) == {0}


@pytest.mark.parametrize("count", [7, 8])
def test_clothes_that_nobody_wears_twice_are_no_outfits(count: int) -> None:
    assert set(outfits_of(crops(count), colours(*range(count)), alone(count)).tolist()) == {0}


def test_who_is_not_seen_to_wear_anything_wears_what_was_worn_nearest_in_time() -> None:
    worn = [0] * 6 + [-1] + [1] * 8 + [-1]
    found = outfits_of(crops(16), colours(*worn), alone(16))
    assert found[6] == found[5]
    assert found[15] == found[14]
    assert set(outfits_of(crops(4), np.zeros((4, 20), np.float32), alone(4)).tolist()) == {0}


def test_a_track_wears_one_outfit() -> None:
    worn = [0] * 8 + [1] * 8
    track = np.arange(16)
    track[[5, 6, 7, 8]] = 5
    found = outfits_of(crops(16), colours(*worn), track)
    assert found[8] == found[7]


def test_an_index_says_how_sure_it_is_and_who_it_could_be() -> None:
    relation = relation_of(in_plane(0, 2, 4, 40, 42, 44, 170, 172))
    first, second, third = portraits(np.array([0, 0, 0, 1, 1, 1, 2, 2]), relation)
    assert (first.nearest, second.nearest) == (1, 0)
    assert first.medoid == 1
    assert third.confidence > first.confidence > 0.9
    assert first.described([str(n) for n in range(8)])["medoid"] == "1"


def test_an_index_alone_is_like_no_other() -> None:
    (only,) = portraits(np.zeros(3, np.int64), relation_of(in_plane(0, 2, 4)))
    assert (only.nearest, only.nearest_difference) == (None, None)
    assert only.confidence == 1
