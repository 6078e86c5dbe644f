"""The trainer as a stage: checks what it is asked, and has Ray do it."""

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import ImageSet
from kyara_inference import ModelMissing, UnknownModel, base_model
from kyara_inference.staging import digests_here
from kyara_rayjobs import RayRun, follow, refs_of
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError
from kyara_trainer.checks import check
from kyara_trainer.settings import TrainerSettings
from kyara_trainer.task import Task


async def run(ctx: StageContext[TrainerSettings], params: TrainParams, inputs: Inputs) -> Outputs:
    """Train a LoRA on `dataset`: `saves`, a file set with the step in each file's metadata, `log` and `curve`, loss by step.

    With pivotal words also `embeddings`, a file for each save; with `stop_after` also `checkpoint`, for what comes after.
    """
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
        checkpoint=inputs.get("checkpoint"),
    )
    resources = {"workers": settings.workers, "num_cpus": settings.num_cpus, "num_gpus": settings.num_gpus}
    spec = {**task.to_json(), **resources, "retries": settings.worker_retries, "traces": settings.traces}
    on_ray = RayRun("trainer", "kyara_trainer.ray_job", spec, settings.python)
    result = await follow(ctx, settings.ray, on_ray)
    for item in result["rejected"]:
        ctx.reject(item["item"], item["reason"])
    return refs_of(result["outputs"])


def _model_folder(name: str, settings: TrainerSettings) -> str:
    try:
        return str(base_model(name, settings.models))
    except UnknownModel as error:
        raise StageError.invalid(f"trainer: base_model: {error}") from error
    except ModelMissing as error:
        raise StageError.precondition(f"trainer: {error}") from error


OPERATIONS = (Operation(name="trainer", version=3, params=TrainParams, run=run, models=digests_here),)
