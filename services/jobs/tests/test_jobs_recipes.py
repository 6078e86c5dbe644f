"""Recipes say what the published versions did, and a typo in one is an error."""

from importlib import resources
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from kyara.jobs.v1.jobs_pb2 import DatasetJob, JobSpec
from kyara_inference import catalogue
from kyara_jobs import params
from kyara_jobs.recipe import Recipe, UnknownRecipe, known_recipes, merged, models_of, recipe_named, shipped, whole

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
        ("v1.5", SMALLEST_FEW, 800),
        ("v1.5", LARGE, 3000),
        ("v1.5", 2000, 10000),
        ("v1.5", 5000, 12500),
        ("v1.6", SMALL, 600),
        ("v1.6", LARGE, 2250),
        ("v1.6", 20_000, 15_000),
    ],
)
def test_steps_are_those_of_the_published_version(name: str, images: int, steps: int) -> None:
    training = recipe_named(name).training
    assert training.steps.count(images, training.batch_size) == steps


def test_v1_4_trains_and_scores_as_published() -> None:
    recipe = recipe_named("v1.4")
    train = params.train(recipe, 7, "Rin Tohsaka", MASSIVE)
    assert (train.unet.rank, train.text_encoder.rank) == (8, 4)
    assert (train.unet.learning_rate, train.text_encoder.learning_rate) == (4e-4, 4e-5), "published for a batch of one"
    assert (train.batch_size, train.clip_skip, train.warmup_steps, train.tag_dropout) == (4, 2, 50, 0.1)
    assert (train.resolution, train.buckets, train.bucket_step, train.saves, train.seed) == (512, 5, 8, 15, 7)
    assert train.trigger == "rin_tohsaka"
    judge = params.evaluate(recipe, 7, train.trigger, ["twintails", "black_hair"])
    assert (judge.width, judge.height, judge.sampler_steps, judge.guidance) == (512, 768, 30, 8)
    assert (judge.lora_weight, judge.trigger_weight, judge.min_steps_per_image) == (0.85, 1.15, 6)
    assert judge.prompts[1].text == "{trigger}, {core_tags}, solo, maid, maid headdress, apron"
    assert (judge.trigger, list(judge.core_tags)) == ("rin_tohsaka", ["twintails", "black_hair"])
    assert "nsfw" in judge.negative


def test_a_recipe_may_name_the_modules_that_get_a_lora() -> None:
    mine = merged(whole("v1.4", shipped()), {"training": {"unet": {"modules": ["to_q", "attn2.to_k"]}}})
    named = params.train(Recipe.model_validate({"name": "mine", **mine}), 7, "rin", SMALL)
    assert list(named.unet.modules) == ["to_q", "attn2.to_k"]
    named.unet.ClearField("modules")
    assert named == params.train(recipe_named("v1.4"), 7, "rin", SMALL), "what names none is asked for as it always was"


def test_recipes_as_published_ask_no_clip_and_their_evaluations_keep_their_names() -> None:
    for name, recipe in known_recipes().items():
        wanted = params.evaluate(recipe, 1, "rin", [])
        asked = {field.name for field, _ in wanted.ListFields()}
        assert ("clip_model" in asked) == name.startswith("miniature")


def test_whole_pictures_have_no_crops_before_v1_4() -> None:
    assert not params.package(recipe_named("v1.0"), JobSpec(), "x").crop_kinds
    assert list(params.package(recipe_named("v1.4"), JobSpec(), "x").crop_kinds) == ["halfbody", "head"]


@pytest.mark.parametrize(("images", "rank"), [(100, 4), (101, 6), (400, 6), (401, 8)])
def test_v1_6_gives_larger_datasets_a_larger_lora(images: int, rank: int) -> None:
    assert params.train(recipe_named("v1.6"), 0, "x", images).unet.rank == rank


@pytest.mark.parametrize("name", known_recipes())
def test_the_models_of_a_recipe_are_in_the_catalogue(name: str) -> None:
    models = models_of(recipe_named(name))
    assert len(models) >= 4 and set(models) <= set(catalogue())


def test_every_recipe_trains_on_a_package_that_it_makes() -> None:
    for recipe in known_recipes().values():
        assert recipe.packaging.dataset in ("", *recipe.packaging.packages)


@pytest.mark.parametrize(
    ("job", "name", "repository"), [("Aya", "Aya", "aya"), ("Show", "Show-0", "show_0"), ("Show", "Rin T", "rin_t_show")]
)
def test_a_characters_dataset_is_called_by_its_series_too(job: str, name: str, repository: str) -> None:
    assert params.publish_character(JobSpec(name=job), name).name == repository


def test_a_dataset_that_is_there_already_is_taken_whole() -> None:
    spec = JobSpec(dataset=DatasetJob(name="x", folder="/x"), seed=3)
    wanted = params.package(recipe_named("v1.4"), spec, "Rin")
    assert wanted.as_they_are and wanted.dataset == "stage3-640" and wanted.seed == 3
    assert not (wanted.crop_kinds or wanted.max_images or wanted.min_images or wanted.near_duplicate)


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
