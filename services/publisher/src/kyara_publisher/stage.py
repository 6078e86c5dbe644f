"""The stage `publisher`: `publisher.dataset`, `publisher.character` and `publisher.lora`, to a folder or a hub."""

from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi

from kyara.publisher.v1.publisher_pb2 import PublishDatasetParams, PublishLoraParams, Target
from kyara_artifacts import FileSet, ImageSet, get_json, put_json
from kyara_publisher.character import character_repository
from kyara_publisher.dataset import dataset_repository
from kyara_publisher.folder import to_folder
from kyara_publisher.hub import to_hub
from kyara_publisher.lora import Lora, lora_repository
from kyara_publisher.repository import Files
from kyara_publisher.settings import Context
from kyara_stage import Inputs, Operation, Outputs, StageError


async def publish_dataset(ctx: Context, params: PublishDatasetParams, inputs: Inputs) -> Outputs:
    """The characters of a video as one dataset repository."""
    clusters = ImageSet.load(ctx.store, inputs["clusters"])
    files = dataset_repository(ctx.store, params.name, clusters, inputs["sheet"].digest)
    return _publish(ctx, files, params.target, f"{params.name}-dataset", "dataset", params.private)


async def publish_character(ctx: Context, params: PublishDatasetParams, inputs: Inputs) -> Outputs:
    """A character's packages and pictures as one dataset repository."""
    packages, dataset = FileSet.load(ctx.store, inputs["packages"]), ImageSet.load(ctx.store, inputs["dataset"])
    files = character_repository(ctx.store, packages, dataset)
    return _publish(ctx, files, params.target, f"{params.name}-dataset", "dataset", params.private)


async def publish_lora(ctx: Context, params: PublishLoraParams, inputs: Inputs) -> Outputs:
    """A character's saves, previews and scores as one model repository."""
    store = ctx.store
    lora = Lora(
        name=params.name,
        trigger=params.trigger,
        recipe=params.recipe,
        base_model=params.base_model,
        saves=FileSet.load(store, inputs["saves"]),
        embeddings=FileSet.load(store, inputs["embeddings"]) if "embeddings" in inputs else FileSet(files=()),
        previews=ImageSet.load(store, inputs["previews"]),
        scores=get_json(store, inputs["scores"]),
        sheet=inputs["sheet"].digest,
        curve=inputs["curve"].digest,
        report=inputs["report"].digest if "report" in inputs else None,
        dataset=ImageSet.load(store, inputs["dataset"]),
        dataset_sha256=inputs["dataset"].digest.sha256,
    )
    return _publish(ctx, lora_repository(store, lora), params.target, params.name, "model", params.private)


def _publish(ctx: Context, files: Files, target: Target, name: str, kind: Literal["model", "dataset"], private: bool) -> Outputs:
    match target.WhichOneof("where"):
        case "folder":
            receipt = to_folder(ctx, files, Path(target.folder), name)
        case "hub_owner":
            token = ctx.settings.hub_token.get_secret_value()
            if not token:
                raise StageError.precondition(
                    "publishing to a hub needs a token: set KYARA_PUBLISHER_HUB_TOKEN for the publisher"
                )
            api = HfApi(endpoint=ctx.settings.hub, token=token)
            receipt = to_hub(ctx, files, api, target.hub_owner, name, kind, private)
        case None:
            raise StageError.invalid("nowhere to publish to; give a folder or a hub's owner")
    return {"receipt": put_json(ctx.store, "receipt", receipt)}


OPERATIONS = (
    Operation(name="publisher.dataset", version=2, params=PublishDatasetParams, run=publish_dataset),
    Operation(name="publisher.character", version=1, params=PublishDatasetParams, run=publish_character),
    Operation(name="publisher.lora", version=6, params=PublishLoraParams, run=publish_lora),
)
