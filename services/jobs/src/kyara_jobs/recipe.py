"""Recipes: process versions as data, one YAML file each.

A section's fields are named as in the stage's params message, so that a recipe reads like the calls it makes.
`extends` takes another recipe as the base and changes only what is written. An unknown key is an error that
names it. A job carries its whole recipe from its creation on: changing a file changes no running job.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from kyara_jobs.sizes import Sized
from kyara_jobs.steps import Steps

Share = NonNegativeFloat

OWN = "own/"
OWN_NAME = re.compile(r"own/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _named(name: str) -> str:
    if "/" in name:
        raise ValueError("no model of the catalogue has a / in its name, and one of your own is a base model or a preview model")
    return name


def _named_base(name: str) -> str:
    if not name:
        raise ValueError("name a model, such as nai, or own/NAME for one of your own")
    if "/" in name and not OWN_NAME.fullmatch(name):
        raise ValueError(
            f"a model of your own is called {OWN}NAME, with at most 64 letters, digits, `.`, `_` and `-` of ASCII, the first "
            "a letter or digit; `kyara models add NAME SOURCE` puts it where trainer and evaluator look"
        )
    return name


ModelName = Annotated[str, AfterValidator(_named)]
"""Of the catalogue."""
BaseName = Annotated[str, AfterValidator(_named_base)]
"""Of the catalogue, or `own/NAME`; whether the model is there is known where models are."""


class Section(BaseModel):
    """A part of a recipe. Every key is known and every value is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fetching(Section):
    """fetcher.fetch"""

    patterns: tuple[str, ...] = ()
    min_size_bytes: NonNegativeInt = 0
    max_total_bytes: NonNegativeInt = 0
    no_peers_timeout_s: NonNegativeFloat = 0
    largest_only: bool = False


class Collecting(Section):
    """crawler.collect"""

    max_pixels: NonNegativeInt = 0


class Keyframes(Section):
    """keyframer"""

    min_gap_s: NonNegativeFloat
    black_luma: NonNegativeFloat
    blank_deviation: NonNegativeFloat
    max_height: NonNegativeInt
    every_frame: bool = False


class Threshold(Section):
    """One kind of box, and the model that finds it."""

    kind: Literal["person", "halfbody", "head", "face"]
    model: ModelName
    confidence: Share
    iou: Share


class Detection(Section):
    """detector"""

    kinds: tuple[Threshold, ...]


class Cleaning(Section):
    """curator.clean"""

    min_side: PositiveInt
    near_duplicate: Share
    drop_monochrome: bool
    exactly_one_face: bool
    min_quality: Share = 0


class Web(Section):
    """curator.web, beside what `cleaning` says: what is asked of pictures from anywhere."""

    kind_model: ModelName = ""
    kinds: tuple[str, ...] = ()
    rating_model: ModelName = ""
    ratings: tuple[str, ...] = ()
    cluster_share: Share = 0.6
    match_share: Share = 0.5


class Embedding(Section):
    """embedder"""

    model: ModelName


class Clustering(Section):
    """clusterer"""

    model: ModelName
    min_cluster_size: PositiveInt
    reattach_share: Share
    merge_share: Share


class Packaging(Section):
    """curator.package"""

    crop_kinds: tuple[Literal["halfbody", "head"], ...]
    min_crop_side: PositiveInt
    near_duplicate: Share
    tagger_model: ModelName
    detector_model: ModelName
    tag_threshold: Share
    core_tag_share: Share
    core_trait_share: Share
    prune_core_tags: bool
    max_images: NonNegativeInt
    min_images: NonNegativeInt
    packages: tuple[str, ...]
    dataset: str = ""
    """The package whose pictures are trained on; empty takes all as they are."""


class Adapter(Section):
    """A LoRA's size on one network; rank 0 leaves that network alone."""

    rank: Sized
    alpha: NonNegativeFloat
    learning_rate: NonNegativeFloat
    conv_rank: NonNegativeInt = 0
    conv_alpha: NonNegativeFloat = 0
    modules: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Endings of the names of the modules that get one; none is all of attention and feed-forward."""


class Pivotal(Section):
    """Words of the trigger's own, whose embeddings are trained too; none when there are 0."""

    words: NonNegativeInt = 0
    init_std: NonNegativeFloat = 0.017
    learning_rate: NonNegativeFloat = 0
    weight_decay: NonNegativeFloat = 0


class Training(Section):
    """trainer; `steps` is the rule that gives the number from the size of the dataset."""

    base_model: BaseName
    unet: Adapter
    text_encoder: Adapter
    batch_size: PositiveInt
    scale_rates_by_batch: bool = False
    """Whether the learning rates are those of a batch of one picture, and grow with the batch."""
    steps: Steps
    saves: PositiveInt
    resolution: PositiveInt
    buckets: PositiveInt
    bucket_step: PositiveInt
    weight_decay: NonNegativeFloat
    warmup_steps: NonNegativeInt
    max_gradient_norm: PositiveFloat
    clip_skip: PositiveInt
    tag_dropout: Share
    precision: Literal["fp32", "fp16", "bf16"]
    gradient_checkpointing: bool
    checkpoint_every: PositiveInt
    adapter: Literal["lora", "locon", "dora"] = "lora"
    pivotal: Pivotal = Pivotal()
    noise_offset: NonNegativeFloat = 0
    multires_noise_iterations: NonNegativeInt = 0
    multires_noise_discount: Share = 0
    min_snr_gamma: NonNegativeFloat = 0
    caption_dropout: Share = 0
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    gradient_accumulation: PositiveInt = 1
    torch_compile: bool = False
    validation_share: Share = 0
    patience: NonNegativeInt = 0
    """Saves after which training ends when none of them moved the front of the scores; 0 trains to the end."""


class Prompt(Section):
    """A preview prompt; the evaluator fills in `{trigger}`, the character's word, and `{core_tags}`."""

    name: str
    text: str
    negative: str = ""
    kind: str = ""
    """`plain`, `outfit`, `pose`, ...: scores are given by kind too."""

    @field_validator("text")
    @classmethod
    def _can_be_filled_in(cls, text: str) -> str:
        try:
            text.format(trigger="", core_tags="")
        except (LookupError, ValueError) as error:
            raise ValueError(f"prompt text {text!r}: only {{trigger}} and {{core_tags}} are filled in ({error})") from error
        return text


class Evaluation(Section):
    """evaluator"""

    preview_model: BaseName
    ccip_model: ModelName
    prompts: tuple[Prompt, ...]
    max_pattern_prompts: NonNegativeInt
    width: PositiveInt
    height: PositiveInt
    sampler_steps: PositiveInt
    guidance: NonNegativeFloat
    clip_skip: PositiveInt
    lora_weight: NonNegativeFloat
    trigger_weight: NonNegativeFloat
    min_steps_per_image: NonNegativeFloat
    negative: str
    tagger_model: ModelName = ""
    """What says whether previews obey their prompts; empty asks none."""
    clip_model: ModelName = ""
    """What says how like their prompts previews are as a whole; empty asks none."""
    choice: Literal["recscore", "balanced"] = "recscore"
    seeds: PositiveInt = 1
    """Pictures drawn of each prompt."""
    scheduler: str = Field(default="", pattern="^([A-Z][A-Za-z0-9]*Scheduler)?$")
    """A class of diffusers; empty is DPM++ 2M Karras."""


class Recipe(Section):
    """One version of the process, whole."""

    name: str
    description: str
    fetching: Fetching = Fetching()
    collecting: Collecting = Collecting()
    keyframes: Keyframes
    detection: Detection
    cleaning: Cleaning
    web: Web = Web()
    embedding: Embedding
    clustering: Clustering
    packaging: Packaging
    training: Training
    evaluation: Evaluation


class UnknownRecipe(LookupError):
    """No recipe has this name; the message lists those there are."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no recipe {name!r}; known recipes: {', '.join(known)}")


@cache
def shipped() -> dict[str, dict[str, Any]]:
    """What the files of all shipped recipes say, by name."""
    folder = resources.files("kyara_jobs") / "recipes"
    return {
        entry.name.removesuffix(".yaml"): yaml.safe_load(entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }


@cache
def known_recipes() -> dict[str, Recipe]:
    """All shipped recipes by name, sorted.

    Raises pydantic.ValidationError, with the key's name, when a file holds an unknown key or a bad value.
    """
    written = shipped()
    return {name: Recipe.model_validate({"name": name, **whole(name, written)}) for name in sorted(written)}


def recipe_named(name: str) -> Recipe:
    """The shipped recipe `name`. Raises UnknownRecipe."""
    recipes = known_recipes()
    if name not in recipes:
        raise UnknownRecipe(name, recipes)
    return recipes[name]


def models_of(recipe: Recipe) -> list[str]:
    """The models that a recipe names: the values of all keys called `model` or `{something}_model`, sorted."""
    return sorted(set(_models(recipe.model_dump(mode="json"))))


def _models(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "model" or key.endswith("_model"):
                if value:
                    yield value
            else:
                yield from _models(value)
    elif isinstance(data, list):
        for each in data:
            yield from _models(each)


def whole(name: str, written: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The recipe `name` of the files `written`, with everything that it extends filled in.

    Raises UnknownRecipe when it extends one that is not there.
    """
    if name not in written:
        raise UnknownRecipe(name, sorted(written))
    own = dict(written[name])
    base = own.pop("extends", None)
    return merged(whole(base, written), own) if base else own


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, section by section.

    A mapping with `rule` chooses another formula, so it replaces the one below it as a whole, as a list does.
    """
    result = dict(base)
    for key, value in changes.items():
        below = base.get(key)
        deeper = isinstance(value, dict) and isinstance(below, dict) and "rule" not in value
        result[key] = merged(below, value) if deeper else value  # type: ignore[arg-type]
    return result
