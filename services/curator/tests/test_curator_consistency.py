"""What CCIP consistency promises: the character of most pictures stays, others go, whatever their place."""

import numpy as np
import pytest

from kyara_curator.consistency import NoCluster, Shares, consistent

SHARES = Shares(cluster=0.6, match=0.5)


def alike(who: list[int]) -> np.ndarray:
    """Which of the pictures show the same one."""
    return np.equal.outer(np.array(who), np.array(who))


def test_others_are_set_aside_and_the_character_is_kept() -> None:
    who = [0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 4, 0]
    found = consistent(alike(who), SHARES)
    assert [share is None for share in found] == [each == 0 for each in who]


def test_a_cluster_is_waited_for_until_it_holds_enough() -> None:
    first = list(range(1, 10)) + [0] * 6
    found = consistent(alike([*first, *[0] * 20]), SHARES)
    assert [share is None for share in found] == [each == 0 for each in [*first, *[0] * 20]]


def test_the_character_of_most_pictures_is_kept_where_the_first_show_another() -> None:
    who = [1] * 20 + [0] * 40
    found = consistent(alike(who), SHARES)
    assert [share is None for share in found] == [each == 0 for each in who]


def test_where_none_is_on_most_pictures_the_first_say_whom_to_keep() -> None:
    who = [0] * 15 + [1, 2, 3, 4] * 5
    found = consistent(alike(who), SHARES)
    assert [share is None for share in found] == [each == 0 for each in who]


def test_no_cluster_ends_it_with_the_share() -> None:
    with pytest.raises(NoCluster, match="no cluster holds 60% of 20 pictures"):
        consistent(alike([0, 1] * 10), SHARES)


def test_anchors_say_whom_to_keep_where_most_show_another() -> None:
    found = consistent(alike([1, 1, *[0] * 10, *[1] * 5]), SHARES, anchors=2)
    assert [share is None for share in found] == [False] * 10 + [True] * 5


def test_a_picture_must_match_enough_of_the_kept_ones() -> None:
    same = alike([0] * 20)
    same[19, :11] = same[:11, 19] = False
    found = consistent(same, SHARES)
    assert found[19] == pytest.approx(8 / 19)
    assert all(share is None for share in found[:19])
