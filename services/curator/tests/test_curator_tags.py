"""What tags become: core tags, captions, scales."""

import pytest

from kyara_artifacts import scale_of
from kyara_curator.tags import CoreShares, caption, core_tags, in_words, is_of_the_moment, is_trait

SHARES = CoreShares(tag=0.45, trait=0.35)


def pictures(share_of: dict[str, float], count: int = 20) -> list[dict[str, float]]:
    return [{tag: 0.9 for tag, share in share_of.items() if n < round(share * count)} for n in range(count)]


def test_core_tags_are_frequent_and_traits_need_less() -> None:
    tagged = pictures({"long_hair": 0.4, "horns": 0.35, "serafuku": 0.45, "maid": 0.4, "red_eyes": 0.3})
    assert core_tags(tagged, SHARES) == ["serafuku", "long_hair", "horns"]


def test_what_is_of_the_moment_is_never_core() -> None:
    moments = ["1girl", "solo", "smile", "open_mouth", "closed_eyes", "one_eye_closed", "upper_body", "white_background",
               "arms_up", "hand_on_hip", "looking_at_viewer", "sky", "outdoors", "cowboy_shot"]  # fmt: skip
    assert core_tags(pictures(dict.fromkeys([*moments, "glasses"], 1.0)), SHARES) == ["glasses"]
    assert all(is_of_the_moment(tag) for tag in moments)


@pytest.mark.parametrize("tag", ["blue_eyes", "hair_ornament", "animal_ears", "halo", "demon_horns", "twintails"])
def test_body_traits_are_known_by_their_words(tag: str) -> None:
    assert is_trait(tag)


@pytest.mark.parametrize("tag", ["school_uniform", "closed_eyes", "necktie", "earrings"])
def test_clothes_and_moments_are_no_traits(tag: str) -> None:
    assert not is_trait(tag)


def test_a_caption_starts_with_the_trigger_and_goes_on_by_score() -> None:
    tags = {"smile": 0.5, "long_hair": 0.9, "blue_eyes": 0.9, "^_^": 0.4}
    assert caption("rin", tags, []) == "rin, blue eyes, long hair, smile, ^_^"
    assert caption("rin", tags, ["long_hair", "blue_eyes"]) == "rin, smile, ^_^"
    assert in_words("o_o") == "o_o"


def test_scales_are_the_article_s() -> None:
    assert [scale_of(n) for n in (5, 6, 20, 60, 61, 150, 350, 351)] == [
        "few-shot", "tiny", "tiny", "small", "medium", "medium", "large", "massive",
    ]  # fmt: skip
