"""What a run leaves in the store: LoRA files, the pivotal words' files, the log and the losses as a picture."""

from collections.abc import Sequence
from typing import Any

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import File, FileSet, Store, put_json, ref
from kyara_trainer.state import Saved, TrainState

MEDIA_TYPE = "application/x-safetensors"


def name_of(params: TrainParams) -> str:
    """What the files are called."""
    return params.output_name or params.trigger or "lora"


def saves_of(params: TrainParams, state: TrainState, held_back: Sequence[str]) -> FileSet:
    """The LoRA files, with what is known of each; `held_back` are digests of the pictures that none was trained on."""
    files = tuple(
        File(
            name=f"{name_of(params)}-{save.step:06d}.safetensors",
            sha256=save.sha256,
            size=save.size,
            media_type=MEDIA_TYPE,
            meta={**_facts(save), "held_back": held_back},
        )
        for save in state.saves
    )
    return FileSet(files=files, meta={"base_model": params.base_model, "trigger": params.trigger, "steps": params.steps})


def embeddings_of(params: TrainParams, state: TrainState) -> FileSet:
    """The pivotal words' files, one beside each LoRA file."""
    files = tuple(
        File(
            name=f"{name_of(params)}-{save.step:06d}.embedding.safetensors",
            sha256=save.embedding[0],
            size=save.embedding[1],
            media_type=MEDIA_TYPE,
            meta={"step": save.step},
        )
        for save in state.saves
        if save.embedding is not None
    )
    return FileSet(files=files, meta={"trigger": params.trigger, "words": params.pivotal.words})


def store_outputs(
    store: Store, params: TrainParams, state: TrainState, held_back: Sequence[str], facts: dict[str, Any]
) -> dict[str, ArtifactRef]:
    """Put everything into the store. `facts` are what the log says beside the losses."""
    # Imported when the training's memory is free again: matplotlib takes its share of it.
    from kyara_trainer.curve import curve_png

    record = {**facts, "loss": state.losses}
    if state.untrained_loss is not None:
        untrained = [{"step": 0, "loss": state.untrained_loss}]
        record["validation"] = untrained + [{"step": save.step, "loss": save.validation_loss} for save in state.saves]
    curve = store.put(curve_png(state, name_of(params)))
    outputs = {
        "saves": saves_of(params, state, held_back).save(store),
        "log": put_json(store, "training-log", record),
        "curve": ref("loss-curve", curve, "image/png"),
    }
    if params.pivotal.words:
        outputs["embeddings"] = embeddings_of(params, state).save(store)
    return outputs


def _facts(save: Saved) -> dict[str, Any]:
    facts: dict[str, Any] = {"step": save.step, "loss": save.loss}
    if save.validation_loss is not None:
        facts["validation_loss"] = save.validation_loss
    return facts
