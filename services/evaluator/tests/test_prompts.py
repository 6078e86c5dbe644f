"""Prompts: patterns out of the dataset's tags, suites, seeds."""

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams, Prompt
from kyara_artifacts import ImageSet
from kyara_evaluator.prompts import pattern_tags, prompts_of, seed_of

MAID = [{"blue_hair", "maid", "apron", f"a{n}"} for n in range(8)]
BEACH = [{"blue_hair", "swimsuit", "beach", "hat", f"b{n}"} for n in range(6)]


def test_each_cluster_of_tags_gives_the_core_tags_and_what_most_of_it_shares() -> None:
    assert pattern_tags([*MAID, *BEACH], ["horns"], 5) == [
        ["horns", "apron", "blue_hair", "maid"],
        ["horns", "beach", "blue_hair", "hat", "swimsuit"],
    ]


def test_no_more_patterns_than_asked_for_are_drawn_and_the_largest_come_first() -> None:
    assert pattern_tags([*BEACH, *MAID], [], 1) == [["apron", "blue_hair", "maid"]]
    assert pattern_tags([*BEACH, *MAID], [], 0) == []


def test_a_dataset_without_clusters_gives_one_pattern_of_all_its_pictures() -> None:
    assert pattern_tags([{"a", "b"}, {"a", "c"}, set()], ["core"], 3) == [["core", "a"]]


def test_the_suite_is_filled_in_and_the_trigger_gets_its_weight(dataset: ImageSet) -> None:
    params = EvaluateParams(
        trigger="kyara",
        core_tags=["blue_hair", "^_^"],
        prompts=[
            Prompt(name="plain", text="{trigger}, {core_tags}, solo", negative="bad"),
            Prompt(name="bare", text="{trigger}"),
        ],
        trigger_weight=1.15,
        negative="worse",
        max_pattern_prompts=1,
        seed=3,
    )
    pattern, plain, bare = prompts_of(params, dataset.images)
    assert (pattern.name, pattern.text) == ("pattern_0", "(kyara:1.15), blue hair, ^_^, apron, maid")
    assert (plain.text, plain.negative) == ("(kyara:1.15), blue hair, ^_^, solo", "bad")
    assert (bare.text, bare.negative) == ("(kyara:1.15)", "worse")
    params.trigger_weight = 1
    params.core_tags[:] = []
    assert prompts_of(params, dataset.images)[1].text == "kyara, solo"


def test_what_a_picture_should_show_is_the_prompt_without_the_characters_word_and_weights() -> None:
    texts = ("{trigger}, {core_tags}, solo, (maid:1.2), apron", "{trigger}", "1girl in a garden, (night:0.8)")
    params = EvaluateParams(
        trigger="hana, of the (spring)",
        core_tags=["blue_hair"],
        prompts=[Prompt(name=f"{number}", text=text) for number, text in enumerate(texts)],
        trigger_weight=1.15,
        negative="blurry",
    )
    words = [prompt.words for prompt in prompts_of(params, [])]
    assert words == ["blue hair, solo, maid, apron", "", "1girl in a garden, night"]


def test_a_prompt_keeps_its_seed_and_each_has_its_own() -> None:
    assert seed_of(1, "plain") == seed_of(1, "plain")
    assert len({seed_of(1, "plain"), seed_of(1, "maid"), seed_of(2, "plain")}) == 3
