"""Recipes say what the published versions did, and a typo in one is an error."""

from importlib import resources
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from kyara_jobs import params
from kyara_jobs.recipe import Recipe, UnknownRecipe, known_recipes, merged, recipe_named, whole

SMALLEST_FEW, SMALL, MEDIUM, LARGE, MASSIVE = 5, 60, 150, 300, 500


@pytest.mark.parametrize(
    ("name", "images", "steps"),
    [
        ("v1.0", SMALLEST_FEW, 1500),
        ("v1.0", MASSIVE, 1500),
        ("v1.3", SMALL, 720),
        ("v1.3", LARGE, 3600),
        ("v1.4", SMALL, 3000),
        ("v1.4", MEDIUM, 3000),
        ("v1.4", LARGE, 4500),
        ("v1.4", MASSIVE, 7500),
        ("v1.4.1", 0, 721),
        ("v1.4.1", SMALL, 1574),
        ("v1.4.1", MASSIVE, 6500),
    ],
)
def test_steps_are_those_of_the_published_version(name: str, images: int, steps: int) -> None:
    assert recipe_named(name).training.steps.count(images) == steps


def test_v1_4_trains_and_scores_as_published() -> None:
    recipe = recipe_named("v1.4")
    train = params.train(recipe, 7, "Rin Tohsaka", MASSIVE)
    assert (train.unet.rank, train.unet.learning_rate, train.text_encoder.rank) == (8, 1e-4, 4)
    assert (train.batch_size, train.clip_skip, train.warmup_steps, train.tag_dropout) == (4, 2, 50, 0.1)
    assert (train.resolution, train.buckets, train.bucket_step, train.saves, train.seed) == (512, 5, 8, 15, 7)
    assert train.trigger == "rin_tohsaka"
    judge = params.evaluate(recipe, 7, "Rin Tohsaka", ["twintails", "black_hair"])
    assert (judge.width, judge.height, judge.sampler_steps, judge.guidance) == (512, 768, 30, 8)
    assert (judge.lora_weight, judge.trigger_weight, judge.min_steps_per_image) == (0.85, 1.15, 6)
    assert judge.prompts[1].text == "{trigger}, {core_tags}, solo, maid, maid headdress, apron"
    assert (judge.trigger, list(judge.core_tags)) == ("rin_tohsaka", ["twintails", "black_hair"])
    assert "nsfw" in judge.negative


def test_whole_pictures_have_no_crops_before_v1_4() -> None:
    assert not params.package(recipe_named("v1.0"), 0, "x").crop_kinds
    assert list(params.package(recipe_named("v1.4"), 0, "x").crop_kinds) == ["halfbody", "head"]


def written() -> dict[str, Any]:
    """The base recipe's file."""
    return yaml.safe_load((resources.files("kyara_jobs") / "recipes" / "v1.4.yaml").read_text())


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"trainning": {}}, "trainning"),
        ({"training": {"batchsize": 4}}, "batchsize"),
        ({"training": {"unet": {"dim": 8}}}, "dim"),
        ({"training": {"precision": "fp8"}}, "precision"),
        ({"training": {"steps": {"rule": "epochs", "epoch": 3}}}, "epoch"),
        ({"evaluation": {"prompts": [{"name": "x", "text": "{triger}"}]}}, "triger"),
    ],
)
def test_an_unknown_key_or_value_is_an_error_that_names_it(change: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        Recipe.model_validate({"name": "x", **merged(written(), change)})


def test_an_unknown_base_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownRecipe, match=r"'v9'; known recipes: mine"):
        whole("mine", {"mine": {"extends": "v9"}})


def test_a_job_carries_its_recipe_unchanged_through_the_engine() -> None:
    for recipe in known_recipes().values():
        assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
