"""What marks mean, on numbers that can be worked out by hand."""

import numpy as np
import PIL.Image
import pytest

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams, Prompt
from kyara_evaluator.choice import Judged, balanced_best, front_of, idle_saves, reason
from kyara_evaluator.control import asked_by, contradictions
from kyara_evaluator.copies import copy_limit, diversity, layout_of, memorised, nearest_of
from kyara_evaluator.fidelity import scale_of
from kyara_evaluator.judging import Seen, judge
from kyara_evaluator.likeness import likenesses
from kyara_evaluator.prompts import DrawnPrompt, prompts_of
from kyara_evaluator.scoring import Preview, score_steps

AMONG = np.array([[0.0, 0.1, 0.1], [0.1, 0.0, 0.1], [0.1, 0.1, 0.0]])
THRESHOLD = 0.178475


def test_fidelity_is_0_for_strangers_with_the_same_tags_and_1_for_the_datasets_own_pictures() -> None:
    scale = scale_of(AMONG, np.full((2, 3), 0.3))
    assert (scale.own, scale.strangers) == (pytest.approx(0.1), pytest.approx(0.3))
    np.testing.assert_allclose(scale.place(np.array([0.4, 0.3, 0.2, 0.1, 0.05])), [0, 0, 0.5, 1, 1], atol=1e-9)


def test_a_character_whose_horns_fool_recscore_does_not_fool_fidelity() -> None:
    """Everybody with horns is under the threshold; the underfit save is as far as the base model is."""
    prompts = [DrawnPrompt("plain", "rin", "", 1)]
    far, near = np.full(3, 0.16), np.full(3, 0.11)
    previews = [Preview(step, "plain", False) for step in (0, 10, 20)]
    differences = np.stack([far, far, near])
    seen = Seen(previews, differences, AMONG, np.eye(3, 4, dtype=np.float32), np.eye(3, 4, 1, dtype=np.float32), [], {})
    assert [score.recscore for score in score_steps(previews, differences, THRESHOLD)] == [1, 1, 1]
    base, underfit, good = judge(seen, prompts, [], THRESHOLD).steps
    assert (base.fidelity, underfit.fidelity) == (0, 0)
    assert good.fidelity == pytest.approx(5 / 6)


KNOWN = {"maid", "apron", "blue_hair", "smile", "blurry"}


def test_a_prompt_asks_for_what_is_not_the_characters_own() -> None:
    asked = asked_by("(hana:1.15), blue hair, solo, Maid, (apron:1.2)", "blurry, blue hair", ["blue_hair"], KNOWN)
    assert (asked.wanted, asked.unwanted) == (("maid", "apron"), ("blurry",))
    assert asked.obeyed({"maid": 0.9, "apron": 0.3, "blurry": 0.0}) == pytest.approx((0.9 + 0.3 + 1.0) / 3)
    assert asked_by("hana, blue hair", "", ["blue_hair"], KNOWN).obeyed({}) is None


def test_a_prompt_that_asks_for_other_hair_or_eyes_contradicts() -> None:
    core = ["long_hair", "blue_hair", "red_eyes", "horns"]
    assert contradictions("hana, pink hair, red eyes, long hair, brown shoes", core) == ["pink_hair"]
    assert contradictions("hana, green eyes", ["long_hair"]) == [], "nothing is known of the eyes"


def picture(seed: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((90, 120))


def test_a_copy_is_told_from_a_new_picture_whatever_its_size_and_brightness() -> None:
    pictures = np.stack([layout_of(picture(seed)) for seed in range(6)])
    copied = PIL.Image.eval(picture(4), lambda level: level // 2 + 60).resize((64, 96))
    places, alike = nearest_of(np.stack([layout_of(copied), layout_of(picture(99))]), pictures)
    assert places[0] == 4
    assert alike[0] > copy_limit(pictures) > alike[1]


def test_a_save_that_draws_one_picture_has_no_diversity() -> None:
    one = layout_of(picture(1))
    assert diversity(np.stack([one, one, one])) == pytest.approx(0, abs=1e-5)
    assert diversity(np.stack([layout_of(picture(seed)) for seed in range(5)])) > 0.7


def test_diversity_is_told_from_the_pictures_of_one_prompt_where_there_are_several() -> None:
    """Two prompts that differ, each drawn the same twice: varied in all, but not from seed to seed."""
    params = EvaluateParams(trigger="rin", seeds=2, prompts=[Prompt(name=name, text=f"{{trigger}}, {name}") for name in "ab"])
    prompts = prompts_of(params, [])[-4:]
    assert [(prompt.name, prompt.drawing) for prompt in prompts] == [("a", 1), ("a #2", 2), ("b", 1), ("b #2", 2)]
    assert len({prompt.seed for prompt in prompts}) == 4
    previews = [Preview(step, prompt.name, False) for step in (0, 10) for prompt in prompts]
    base = [layout_of(picture(seed)) for seed in range(4)]
    same = [layout_of(picture(seed)) for seed in (7, 7, 8, 8)]
    layouts = np.stack([*base, *same])
    seen = Seen(previews, np.full((8, 3), 0.2), AMONG, layouts, layouts[:3], [], {})
    _, trained = judge(seen, prompts, [], THRESHOLD).steps
    assert trained.diversity == pytest.approx(0, abs=1e-5)


TRAINED = np.arange(20) < 5


def test_a_save_is_told_that_it_learnt_its_pictures_when_it_comes_near_no_others() -> None:
    by_chance, by_heart, none = np.arange(20), np.arange(20) % 5, np.array([], dtype=int)
    assert memorised(by_heart, none, TRAINED) == pytest.approx(1 - 2 * (0.25 * 0.75 / 20) ** 0.5 / 0.75)
    assert memorised(by_chance, none, TRAINED) == 0
    assert memorised(by_heart[:2], none, TRAINED) < 0.2, "two previews tell little"
    assert memorised(by_heart, by_heart, TRAINED) != memorised(by_heart, by_heart, TRAINED), (
        "so does the base model, which saw none"
    )
    assert np.isnan(memorised(by_heart, none, np.ones(20, bool))), "nothing was held back"


def test_what_a_save_learnt_by_heart_counts_against_it_where_its_training_says_what_it_held_back() -> None:
    prompts = [DrawnPrompt(f"p{number}", "hana", "", number) for number in range(8)]
    previews = [Preview(step, prompt.name, False) for step in (0, 10, 20) for prompt in prompts]
    pictures = np.stack([layout_of(picture(seed)) for seed in range(8)])
    few = pictures[np.arange(8) % 2]
    seen = Seen(
        previews,
        np.full((24, 8), 0.2),
        np.full((8, 8), 0.1),
        np.concatenate([pictures, few, few]),
        pictures,
        [],
        {10: np.arange(8) < 2},
    )
    base, known, unknown = judge(seen, prompts, [], THRESHOLD).steps
    assert np.isnan([base.memorised, unknown.memorised]).all() and unknown.to_json()["memorised"] is None
    assert known.memorised == pytest.approx(1 - 2 * (0.25 * 0.75 / 8) ** 0.5 / 0.75)
    assert known.judged().own == pytest.approx(unknown.judged().own * (1 - known.memorised))


UNDERFIT, GOOD, LATER = Judged(10, 0.2, 1.0, 1.0), Judged(20, 0.8, 0.9, 1.0), Judged(30, 0.81, 0.89, 1.0)
OVERFIT, DEAF = Judged(40, 0.95, 0.6, 0.1), Judged(50, 0.75, 0.3, 0.9)
SAVES = [UNDERFIT, GOOD, LATER, OVERFIT, DEAF]


def test_the_balanced_choice_is_good_in_everything_and_the_earlier_of_equals() -> None:
    assert front_of(SAVES) == [UNDERFIT, GOOD, LATER, OVERFIT]
    assert balanced_best(SAVES) == GOOD


def test_every_save_is_told_why_it_was_or_was_not_chosen() -> None:
    said = {save.step: reason(save, GOOD, SAVES) for save in SAVES}
    assert said[20].startswith("chosen: balance 0.89")
    assert "weakest in fidelity, 0.20" in said[10]
    assert "no more than 0.01 above that of the earlier step 20" in said[30]
    assert "weakest in own pictures, 0.10" in said[40]
    assert said[50] == "step 20 is as good in everything and better in fidelity and control and own pictures"


def test_saves_are_idle_from_the_last_that_no_earlier_one_equals() -> None:
    assert idle_saves([UNDERFIT]) == 0
    assert idle_saves([UNDERFIT, GOOD, LATER]) == 1, "nothing in it is better by more than a hundredth"
    assert idle_saves([UNDERFIT, GOOD, LATER, DEAF]) == 2
    assert idle_saves(SAVES) == 1, "the overfit one is better in fidelity"


def test_drift_is_how_much_of_a_stranger_became_the_character() -> None:
    prompts = [DrawnPrompt("plain", "hana", "", 1), DrawnPrompt("other", "1girl", "", 2, stranger=True)]
    previews = [Preview(step, name, False) for step in (0, 10) for name in ("plain", "other")]
    differences = np.array([[0.3] * 3, [0.4] * 3, [0.1] * 3, [0.1, 0.1, 0.4]])
    seen = Seen(previews, differences, AMONG, np.eye(4, dtype=np.float32), np.eye(3, 4, dtype=np.float32), [], {})
    base, save = judge(seen, prompts, [], THRESHOLD).steps
    assert (base.drift, save.drift) == (0, pytest.approx(2 / 3))
    assert save.fidelity == pytest.approx(1), "a stranger's picture is none of the character's"


def test_obedience_is_told_by_kind_and_beside_the_base_model() -> None:
    prompts = [DrawnPrompt("maid", "hana, maid", "", 1, "outfit"), DrawnPrompt("smile", "hana, smile", "", 2, "pose")]
    previews = [Preview(step, name, False) for step in (0, 10) for name in ("maid", "smile")]
    tags = [{"maid": 0.8, "smile": 0.0}, {"maid": 0.0, "smile": 0.8}, {"maid": 0.2, "smile": 0.1}, {"maid": 0.1, "smile": 0.8}]
    seen = Seen(previews, np.full((4, 3), 0.2), AMONG, np.eye(4, dtype=np.float32), np.eye(3, 4, dtype=np.float32), tags, {})
    base, save = judge(seen, prompts, [], THRESHOLD).steps
    assert (base.obeyed, base.control) == (pytest.approx(0.8), 1)
    assert save.by_kind == {"outfit": pytest.approx(0.2), "pose": pytest.approx(0.8)}
    assert save.control == pytest.approx(0.5 / 0.8)


def test_likeness_of_text_and_picture_is_told_by_kind_and_beside_the_base_models() -> None:
    prompts = [
        DrawnPrompt("maid", "hana, maid", "", 1, "outfit"),
        DrawnPrompt("armor", "hana, armor", "", 2, "outfit"),
        DrawnPrompt("full_body", "hana, full body", "", 3, "pose"),
        DrawnPrompt("bare", "hana", "", 4),
    ]
    previews = [Preview(step, prompt.name, False) for step in (0, 10) for prompt in prompts]
    texts = [0.3, 0.5, 0.25, None, 0.2, 0.4, 0.35, None]
    found = likenesses(previews, prompts, texts)
    assert found[0].text == pytest.approx(0.35)
    assert (found[0].text_above_base, found[0].text_above_base_by_kind) == (0, {"outfit": 0, "pose": 0})
    assert found[10].text == pytest.approx(0.95 / 3)
    assert found[10].text_above_base == pytest.approx(-0.1 / 3)
    assert found[10].text_by_kind == pytest.approx({"outfit": 0.3, "pose": 0.35})
    assert found[10].text_above_base_by_kind == pytest.approx({"outfit": -0.1, "pose": 0.1})
    assert set(likenesses(previews, prompts, [None] * 8)[10].to_json().values()) == {None}, "no CLIP was asked"
