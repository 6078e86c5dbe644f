"""From a recipe to the params of each stage: pure functions, so that a replayed workflow asks for the same work."""

import re
from collections.abc import Sequence

from kyara.clusterer.v1.clusterer_pb2 import ClusterParams, RecogniseParams
from kyara.crawler.v1 import crawler_pb2
from kyara.curator.v1.curator_pb2 import CleanParams, PackageParams, WebParams
from kyara.detector.v1.detector_pb2 import DetectParams
from kyara.embedder.v1.embedder_pb2 import EmbedParams
from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams, PinParams
from kyara.fetcher.v1 import fetcher_pb2
from kyara.jobs.v1.jobs_pb2 import CharacterJob, JobSpec
from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara.publisher.v1.publisher_pb2 import PublishDatasetParams, PublishLoraParams
from kyara.trainer.v1.trainer_pb2 import AdapterParams, PivotalParams, TrainParams
from kyara_jobs.recipe import Adapter, Recipe, Training
from kyara_jobs.sizes import for_size

_BY_RULE = frozenset({"steps", "unet", "text_encoder", "pivotal"})


def slug(name: str) -> str:
    """A name as prompts, files and repositories carry it: letters and digits of any script, `_` between words."""
    return "_".join(re.findall(r"\w+", name.lower()))


def resolve_source(source: str) -> fetcher_pb2.ResolveParams:
    """fetcher.resolve"""
    return fetcher_pb2.ResolveParams(source=source)


def fetch(recipe: Recipe) -> fetcher_pb2.FetchParams:
    """fetcher.fetch"""
    return fetcher_pb2.FetchParams(**recipe.fetching.model_dump())


def resolve_folder(folder: str) -> crawler_pb2.ResolveParams:
    """crawler.resolve"""
    return crawler_pb2.ResolveParams(folder=folder)


def resolve_character(character: CharacterJob) -> crawler_pb2.ResolveParams:
    """crawler.resolve"""
    if character.HasField("web"):
        return crawler_pb2.ResolveParams(web=character.web)
    return resolve_folder(character.folder)


def collect(recipe: Recipe) -> crawler_pb2.CollectParams:
    """crawler.collect"""
    return crawler_pb2.CollectParams(**recipe.collecting.model_dump())


def keyframes(recipe: Recipe) -> KeyframeParams:
    """keyframer"""
    return KeyframeParams(**recipe.keyframes.model_dump())


def detect(recipe: Recipe) -> DetectParams:
    """detector"""
    return DetectParams(**recipe.detection.model_dump())


def clean(recipe: Recipe) -> CleanParams:
    """curator.clean"""
    return CleanParams(**recipe.cleaning.model_dump())


def web(recipe: Recipe) -> WebParams:
    """curator.web"""
    return WebParams(
        ccip_model=recipe.embedding.model,
        min_images=recipe.packaging.min_images,
        **recipe.cleaning.model_dump(exclude={"exactly_one_face"}),
        **recipe.web.model_dump(),
    )


def embed(recipe: Recipe) -> EmbedParams:
    """embedder"""
    return EmbedParams(**recipe.embedding.model_dump())


def cluster(recipe: Recipe) -> ClusterParams:
    """clusterer"""
    return ClusterParams(**recipe.clustering.model_dump())


def recognise(recipe: Recipe, names: Sequence[str]) -> RecogniseParams:
    """clusterer.recognise"""
    return RecogniseParams(model=recipe.clustering.model, names=names)


def package(recipe: Recipe, spec: JobSpec, name: str) -> PackageParams:
    """curator.package; a dataset that is there already is taken whole."""
    # Captions that are there already call a LoRA's character as it was taught.
    wanted = PackageParams(trigger=spec.evaluation.trigger or slug(name), seed=spec.seed, **recipe.packaging.model_dump())
    if spec.HasField("dataset") or spec.HasField("evaluation"):
        wanted.as_they_are = True
        for field in ("crop_kinds", "min_crop_side", "near_duplicate", "max_images", "min_images", "detector_model"):
            wanted.ClearField(field)
    return wanted


def train(recipe: Recipe, seed: int, name: str, images: int, saves: int = 0) -> TrainParams:
    """trainer, for a dataset of `images` pictures; all saves, or the first so many."""
    chosen = recipe.training
    # What is as it is unless a recipe says otherwise stays out of the params, so that the same work keeps its name.
    written = chosen.model_dump(exclude_defaults=True)
    plain = {key: value for key, value in written.items() if key in TrainParams.DESCRIPTOR.fields_by_name and key not in _BY_RULE}
    return TrainParams(
        trigger=slug(name),
        output_name=slug(name),
        steps=chosen.steps.count(images, chosen.batch_size),
        seed=seed,
        unet=_adapter(chosen, chosen.unet, images),
        text_encoder=_adapter(chosen, chosen.text_encoder, images),
        pivotal=_pivotal(chosen),
        stop_after=saves,
        **plain,
    )


def _adapter(training: Training, adapter: Adapter, images: int) -> AdapterParams:
    written = adapter.model_dump(exclude={"rank", "learning_rate"})
    return AdapterParams(rank=for_size(adapter.rank, images), learning_rate=_rate(training, adapter.learning_rate), **written)


def _pivotal(training: Training) -> PivotalParams | None:
    words = training.pivotal
    if not words.words:
        return None
    return PivotalParams(learning_rate=_rate(training, words.learning_rate), **words.model_dump(exclude={"learning_rate"}))


def _rate(training: Training, rate: float) -> float:
    return rate * training.batch_size * training.gradient_accumulation if training.scale_rates_by_batch else rate


def pin(path: str) -> PinParams:
    """evaluator.pin"""
    return PinParams(path=path)


def evaluate(recipe: Recipe, seed: int, trigger: str, core_tags: Sequence[str]) -> EvaluateParams:
    """evaluator, for a character with these core tags."""
    return EvaluateParams(trigger=trigger, core_tags=core_tags, seed=seed, **recipe.evaluation.model_dump())


def publish_dataset(spec: JobSpec) -> PublishDatasetParams:
    """publisher.dataset"""
    return PublishDatasetParams(target=spec.publish, name=slug(spec.name))


def publish_character(spec: JobSpec, name: str) -> PublishDatasetParams:
    """publisher.dataset of one character: `{character}_{series}`, where a job is more than that character."""
    own, series = slug(name), slug(spec.name)
    return PublishDatasetParams(target=spec.publish, name=own if series in own else f"{own}_{series}")


def publish_lora(spec: JobSpec, recipe: Recipe, name: str) -> PublishLoraParams:
    """publisher.lora"""
    return PublishLoraParams(
        target=spec.publish,
        name=slug(name),
        trigger=slug(name),
        recipe=recipe.name,
        base_model=recipe.training.base_model,
    )
