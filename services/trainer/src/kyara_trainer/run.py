"""One training run, from references to references. Runs where Ray put it; knows nothing of Ray.

`train_dataset` loads the base model and the dataset, goes on from the last checkpoint when there is one, and leaves
the saves, the log and what was set aside in the store.
"""

import os
import time
from pathlib import Path
from typing import Any

import structlog
import torch
from google.protobuf import json_format

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import File, FileSet, Image, ImageSet, Store, open_store, put_json, ref
from kyara_rayjobs import RunReport
from kyara_stage import StageError
from kyara_trainer.buckets import Bucket, make_buckets
from kyara_trainer.captions import caption_of
from kyara_trainer.latents import Latent, encode
from kyara_trainer.lora_file import lora_file
from kyara_trainer.metadata import metadata
from kyara_trainer.model import BaseModel, load_base
from kyara_trainer.schedule import DataOrder, save_steps
from kyara_trainer.state import Saved
from kyara_trainer.task import Task
from kyara_trainer.train import LossNotFiniteError, Training

LOSS_WINDOW = 50

log = structlog.get_logger()


def train_dataset(task: Task, report: RunReport) -> dict[str, Any]:
    """Train; the references to `saves` and `log`, and the list `rejected`, as JSON.

    Raises StageError for what the user must know.
    """
    _be_deterministic(task.threads)
    report.progress("loading the base model", 0, now=True)
    store = open_store(task.store)
    dataset = ImageSet.load(store, task.dataset)
    base = load_base(Path(task.model_folder), torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if task.params.bucket_step % base.latent_scale:
        step, model = task.params.bucket_step, task.params.base_model
        raise StageError.invalid(f"trainer: bucket_step {step} must be a multiple of {base.latent_scale}, as {model} needs it")
    return _Run(task.params, store, report, base, dataset.images).result()


class _Run:
    def __init__(self, params: TrainParams, store: Store, report: RunReport, base: BaseModel, images: tuple[Image, ...]) -> None:
        self._params = params
        self._store = store
        self._report = report
        self._images = images
        self._rejected: list[dict[str, str]] = []
        buckets = make_buckets([(i.width, i.height) for i in images], params.buckets, params.resolution, params.bucket_step)
        latents = self._latents(base, buckets)
        self._buckets = _without(buckets, set(latents))
        if not self._buckets:
            raise StageError.precondition(
                f"none of the {len(images)} pictures can be trained on; the first: {self._rejected[0]['reason']}"
            )
        self._captions = {number: caption_of(images[number], params.trigger) for number in latents}
        self._order = DataOrder(self._buckets, params.batch_size, params.seed)
        self._training = Training(base, params, latents, self._captions, self._order)
        self._resumed_at = 0

    def result(self) -> dict[str, Any]:
        training, params = self._training, self._params
        self._resume()
        began = time.perf_counter()
        saves_at = set(save_steps(params.steps, params.saves))
        while training.state.step < params.steps:
            try:
                training.step()
            except LossNotFiniteError as error:
                raise StageError.precondition(str(error)) from error
            step = training.state.step
            if step in saves_at:
                with training.clock.phase("save"):
                    self._save()
            if params.checkpoint_every and step % params.checkpoint_every == 0 and step < params.steps:
                with training.clock.phase("save"):
                    data = training.checkpoint()
                    self._report.checkpoint(ref("training-checkpoint", self._store.put(data), "application/x-pytorch"))
            self._say(time.perf_counter() - began)
        return self._outputs()

    def _latents(self, base: BaseModel, buckets: list[Bucket]) -> dict[int, Latent]:
        def reject(number: int, reason: str) -> None:
            self._rejected.append({"item": self._images[number].name, "reason": reason})

        latents: dict[int, Latent] = {}
        for number, latent in encode(base, self._store, self._images, buckets, reject):
            latents[number] = latent
            self._report.progress("caching latents", len(latents), len(self._images), "pictures")
        return latents

    def _resume(self) -> None:
        if self._report.last_checkpoint is not None:
            self._training.resume(self._store.get(self._report.last_checkpoint.digest))
            self._resumed_at = self._training.state.step
            log.info("goes on from a checkpoint", step=self._resumed_at)

    def _save(self) -> None:
        params, state = self._params, self._training.state
        epoch = -(-state.step // self._order.batches_per_epoch)
        header = metadata(params, state.step, epoch, self._buckets, self._captions.values(), self._order.batches_per_epoch)
        data = lora_file(self._training.save(), header)
        digest = self._store.put(data)
        state.saves.append(Saved(state.step, digest.sha256, digest.size_bytes, self._recent_loss()))

    def _recent_loss(self) -> float:
        recent = self._training.state.losses[-LOSS_WINDOW:]
        return sum(recent) / len(recent)

    def _say(self, seconds: float) -> None:
        state = self._training.state
        metrics = {
            "loss": self._recent_loss(),
            "steps_per_s": (state.step - self._resumed_at) / seconds,
            **self._training.clock.shares(),
        }
        self._report.progress("training", state.step, self._params.steps, "steps", metrics, now=state.step == self._params.steps)

    def _outputs(self) -> dict[str, Any]:
        state, params = self._training.state, self._params
        name = params.output_name or params.trigger or "lora"
        files = tuple(
            File(
                name=f"{name}-{save.step:06d}.safetensors",
                sha256=save.sha256,
                size=save.size,
                media_type="application/x-safetensors",
                meta={"step": save.step, "loss": save.loss},
            )
            for save in state.saves
        )
        saves = FileSet(files=files, meta={"base_model": params.base_model, "trigger": params.trigger, "steps": params.steps})
        record = {
            "images": len(self._captions),
            "batches_per_epoch": self._order.batches_per_epoch,
            "buckets": [{"width": b.width, "height": b.height, "images": len(b.members)} for b in self._buckets],
            "loss": state.losses,
        }
        outputs = {"saves": saves.save(self._store), "log": put_json(self._store, "training-log", record)}
        return {
            "outputs": {name: json_format.MessageToDict(artifact) for name, artifact in outputs.items()},
            "rejected": self._rejected,
        }


def _without(buckets: list[Bucket], usable: set[int]) -> list[Bucket]:
    """The buckets with only the pictures that have latents; empty ones are gone."""
    kept = [Bucket(b.width, b.height, tuple(number for number in b.members if number in usable)) for b in buckets]
    return [bucket for bucket in kept if bucket.members]


def _be_deterministic(threads: int) -> None:
    # cuBLAS needs its workspace fixed before its first call to be deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads)
