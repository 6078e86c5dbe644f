"""The trainer as a stage: checks what it is asked, and has Ray do it."""

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import ImageSet
from kyara_inference.catalogue import ModelMissing, UnknownModel, catalogue, local_path
from kyara_inference.naming import digests_of
from kyara_rayjobs import RayRun, follow, refs_of
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError
from kyara_trainer.settings import TrainerSettings
from kyara_trainer.task import Task


async def run(ctx: StageContext[TrainerSettings], params: TrainParams, inputs: Inputs) -> Outputs:
    """Train a LoRA on `dataset`: `saves`, a file set with the step in each file's metadata, and `log`, loss by step."""
    settings = ctx.settings
    check(params)
    if not len(ImageSet.load(ctx.store, inputs["dataset"])):
        raise StageError.precondition("the dataset is empty: a LoRA needs at least one picture")
    task = Task(
        store=settings.store,
        model_folder=_model_folder(params.base_model, settings),
        params=params,
        dataset=inputs["dataset"],
        threads=settings.threads,
    )
    resources = {"num_cpus": settings.num_cpus, "num_gpus": settings.num_gpus, "retries": settings.worker_retries}
    spec = {**task.to_json(), **resources, "traces": settings.traces}
    on_ray = RayRun("trainer", "kyara_trainer.ray_job", spec, settings.python)
    result = await follow(ctx, settings.ray, on_ray)
    for item in result["rejected"]:
        ctx.reject(item["item"], item["reason"])
    return refs_of(result["outputs"])


def check(params: TrainParams) -> None:
    """Raise StageError for params that no training can be done with."""
    positive = ("steps", "saves", "batch_size", "resolution", "buckets", "bucket_step")
    for name in positive:
        if getattr(params, name) < 1:
            raise StageError.invalid(f"trainer: {name} is {getattr(params, name)}; it must be at least 1")
    if params.unet.rank < 1 and params.text_encoder.rank < 1:
        raise StageError.invalid("trainer: unet.rank and text_encoder.rank are both 0, so there is nothing to train; set one")
    for name, adapter in (("unet", params.unet), ("text_encoder", params.text_encoder)):
        if adapter.rank > 0 and not (adapter.alpha > 0 and adapter.learning_rate > 0):
            given = f"alpha {adapter.alpha} and learning_rate {adapter.learning_rate}"
            raise StageError.invalid(f"trainer: {name} has a rank but {given}; both must be above 0")
    if params.precision not in ("", "fp32", "fp16", "bf16"):
        raise StageError.invalid(f"trainer: precision {params.precision!r} is unknown; use fp32, fp16 or bf16")
    if not 0 <= params.tag_dropout < 1:
        raise StageError.invalid(f"trainer: tag_dropout {params.tag_dropout} must be in 0..1, below 1")


def _model_folder(name: str, settings: TrainerSettings) -> str:
    try:
        catalogue().diffusion(name)
        return str(local_path(name, settings.models))
    except UnknownModel as error:
        raise StageError.invalid(f"trainer: base_model: {error}") from error
    except ModelMissing as error:
        raise StageError.precondition(f"trainer: {error}") from error


OPERATIONS = (Operation(name="trainer", version=1, params=TrainParams, run=run, models=digests_of),)
