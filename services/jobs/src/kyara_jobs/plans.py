"""What a recipe makes of a dataset, told before anything is trained."""

from collections.abc import Sequence

import yaml

from kyara.jobs.v1.jobs_pb2 import DescribeRecipeResponse
from kyara_artifacts import scale_of
from kyara_jobs.recipe import Recipe
from kyara_jobs.sizes import for_size

EACH_SCALE = (5, 20, 60, 150, 350, 1000)
"""The largest few-shot, tiny, small, medium and large dataset, and a massive one."""


def described(recipe: Recipe, sizes: Sequence[int]) -> DescribeRecipeResponse:
    """The recipe whole, and a plan for each of `sizes`, in pictures; for one of each scale when there are none."""
    told = recipe.model_dump(mode="json", exclude={"name"})
    written = yaml.safe_dump(told, sort_keys=False, width=100, allow_unicode=True)
    return DescribeRecipeResponse(recipe_yaml=written, plans=[_plan(recipe, images) for images in sizes or EACH_SCALE])


def _plan(recipe: Recipe, images: int) -> DescribeRecipeResponse.Plan:
    training = recipe.training
    steps = training.steps.count(images, training.batch_size)
    return DescribeRecipeResponse.Plan(
        images=images,
        scale=scale_of(images),
        steps=steps,
        epochs=steps * training.batch_size / max(1, images),
        unet_rank=for_size(training.unet.rank, images),
        text_encoder_rank=for_size(training.text_encoder.rank, images),
    )
