"""A recipe of the user's own is one YAML; what is wrong with it is said before a job begins, by the field's name."""

import pytest

from kyara.jobs.v1.jobs_pb2 import DescribeRecipeRequest, JobSpec
from kyara_inference import own
from kyara_jobs import recipe
from kyara_jobs.orders import Refused, recipe_of
from kyara_jobs.own_recipe import BadRecipe, own_recipe
from kyara_jobs.plans import described
from kyara_jobs.recipe import known_recipes, models_of, recipe_named


def test_it_changes_only_what_it_says() -> None:
    mine = own_recipe("mine", "extends: v1.4\ntraining: {batch_size: 2}\n")
    assert (mine.name, mine.training.batch_size) == ("mine", 2)
    theirs = recipe_named("v1.4")
    kept = theirs.training.model_copy(update={"batch_size": 2})
    assert mine == theirs.model_copy(update={"name": "mine", "training": kept})


@pytest.mark.parametrize("name", known_recipes())
def test_it_may_have_a_shipped_recipes_name_and_extend_that(name: str) -> None:
    mine = own_recipe(f"my-{name}", f"extends: {name}\ndescription: mine")
    assert mine == recipe_named(name).model_copy(update={"name": f"my-{name}", "description": "mine"})


@pytest.mark.parametrize("name", known_recipes())
def test_a_file_may_be_called_as_the_recipe_that_it_extends(name: str) -> None:
    mine = own_recipe(name, f"extends: {name}\ndescription: mine")
    assert mine == recipe_named(name).model_copy(update={"description": "mine"})


def test_a_recipe_cannot_extend_itself() -> None:
    with pytest.raises(BadRecipe, match="extends: there is no recipe 'mine'"):
        own_recipe("mine", "extends: mine")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("extends: v1.4\ntraining: {batch_size: -1}", r"training\.batch_size: .*greater than 0 \(it is -1\)"),
        ("extends: v1.4\ntraining: {batchsize: 4}", r"training\.batchsize: Extra inputs"),
        ("extends: v1.4\nevaluation: {prompts: [{name: x}]}", r"evaluation\.prompts\.0\.text: Field required"),
        ("extends: v1.4\ntraining: {unet: {rank: {rule: by_images, up_to: {few: 3}, above: 8}}}", r"up_to\.few"),
        ("extends: v9", r"extends: there is no recipe 'v9'; known recipes: .*v1\.4"),
        ("extends: [v1.4]", r"extends: there is no recipe \"\['v1\.4'\]\""),
        ("training: {batch_size: 4}", r"description: Field required.*and \d+ more"),
        ("- one\n- two", "it must be sections"),
        ("a: [", "it is no YAML: .*line 1"),
        ("a: &x [1, 2]\nb: [*x, *x]", r"line 2: a recipe has no aliases"),
        ("a: " + "[" * 2000 + "]" * 2000, "nested too deeply"),
        ("#" * 70_000, "more than 64 KiB"),
        ("a: !!python/object/apply:os.system [true]", "it is no YAML: .*could not determine a constructor"),
    ],
)
def test_what_is_wrong_is_said_by_the_name_of_the_field(text: str, said: str) -> None:
    with pytest.raises(BadRecipe, match=f"(?s){said}"):
        own_recipe("mine", text)


def test_a_job_with_a_bad_recipe_is_refused_before_it_begins() -> None:
    with pytest.raises(Refused, match=r"recipe mine: training\.saves"):
        recipe_of(JobSpec(recipe="mine", recipe_yaml="extends: v1.4\ntraining: {saves: 0}"))


@pytest.mark.parametrize("section", ["training: {base_model", "evaluation: {preview_model"])
def test_a_base_model_may_be_the_users_own(section: str) -> None:
    assert "own/abyss-v2.1" in models_of(own_recipe("mine", f"extends: v1.4\n{section}: own/abyss-v2.1}}"))
    for name in ("own/", "own/a/b", "own/../nai", "own/.a", "mine/a", "/models/a.safetensors", "hub:a/b@main", "own/é"):
        with pytest.raises(BadRecipe, match=r"_model: .*own/NAME.*kyara models add.*\(it is .*\)"):
            own_recipe("mine", f"extends: v1.4\n{section}: '{name}'}}")
    with pytest.raises(BadRecipe, match=r"_model: .*name a model"):
        own_recipe("mine", f"extends: v1.4\n{section}: ''}}")


def test_only_a_base_model_can_be_the_users_own() -> None:
    with pytest.raises(BadRecipe, match=r"packaging\.tagger_model: .*a base model or a preview model \(it is own/tagger\)"):
        own_recipe("mine", "extends: v1.4\npackaging: {tagger_model: own/tagger}")


def test_names_of_the_users_models_are_those_that_can_be_added() -> None:
    assert (recipe.OWN, recipe.OWN_NAME.pattern) == (own.OWN, own.OWN_NAME.pattern)


def test_a_plan_says_what_a_dataset_gets() -> None:
    request = DescribeRecipeRequest(recipe="v1.6", images=[60, 1000])
    small, massive = described(recipe_of(request), request.images).plans
    assert (small.scale, small.steps, small.unet_rank, small.text_encoder_rank) == ("small", 600, 4, 0)
    assert (massive.scale, massive.steps, massive.unet_rank) == ("massive", 3750, 8)
    assert massive.epochs == 30


@pytest.mark.parametrize("name", known_recipes())
def test_a_recipe_that_was_shown_is_a_recipe_again(name: str) -> None:
    shown = described(recipe_named(name), [10]).recipe_yaml
    assert own_recipe(name, shown) == recipe_named(name)


def test_without_sizes_there_is_a_plan_for_each_scale() -> None:
    plans = described(recipe_named("v1.4"), []).plans
    assert [plan.scale for plan in plans] == ["few-shot", "tiny", "small", "medium", "large", "massive"]
    assert [plan.steps for plan in plans] == [3000, 3000, 3000, 3000, 5250, 15000]
