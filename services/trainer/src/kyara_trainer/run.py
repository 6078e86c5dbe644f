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

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Image, ImageSet, Store, open_store, ref
from kyara_rayjobs import RunReport
from kyara_stage import StageError
from kyara_trainer.adapter import UnknownModuleError
from kyara_trainer.examples import prepare
from kyara_trainer.loading import UnfitBaseError, load_base
from kyara_trainer.lora_file import lora_file
from kyara_trainer.loss import LossNotFiniteError
from kyara_trainer.metadata import metadata
from kyara_trainer.model import BaseModel, give_back, release
from kyara_trainer.optimiser import OptimizerMissingError
from kyara_trainer.outputs import saves_of, store_outputs
from kyara_trainer.pivotal import attach_words, embedding_file
from kyara_trainer.ranks import Ranks
from kyara_trainer.schedule import DataOrder, derived_seed, save_steps
from kyara_trainer.state import Saved
from kyara_trainer.task import Task
from kyara_trainer.texts import Texts
from kyara_trainer.train import NoMemoryError, Training
from kyara_trainer.validation import Validation

LOSS_WINDOW = 50

log = structlog.get_logger()


def train_dataset(task: Task, report: RunReport, ranks: Ranks | None = None) -> dict[str, Any]:
    """Train; the references to `saves`, `log`, `curve` and `embeddings`, and the list `rejected`, as JSON.

    Other `ranks` than the leading one help it, and give nothing. Raises StageError for what the user must know.
    """
    _be_deterministic(task.threads)
    report.progress("loading the base model", 0, now=True)
    store = open_store(task.store)
    dataset = ImageSet.load(store, task.dataset)
    try:
        base = load_base(Path(task.model_folder), torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    except UnfitBaseError as error:
        raise StageError.precondition(f"trainer: base_model {task.params.base_model}: {error}") from error
    if task.params.bucket_step % base.latent_scale:
        step, model = task.params.bucket_step, task.params.base_model
        raise StageError.invalid(f"trainer: bucket_step {step} must be a multiple of {base.latent_scale}, as {model} needs it")
    try:
        return _Run(task.params, store, report, base, dataset.images, task.checkpoint, ranks or Ranks()).result()
    except UnknownModuleError as error:
        raise StageError.invalid(f"trainer: modules: {error}") from error
    except (OptimizerMissingError, NoMemoryError) as error:
        raise StageError.precondition(f"trainer: {error}") from error


class _Run:
    def __init__(
        self,
        params: TrainParams,
        store: Store,
        report: RunReport,
        base: BaseModel,
        images: tuple[Image, ...],
        before: ArtifactRef | None,
        ranks: Ranks,
    ) -> None:
        self._ranks = ranks
        self._params = params
        self._base = base
        self._store = store
        self._report = report
        self._images = images
        stand_in, words = ("", {})
        if params.pivotal.words:
            stand_in, words = attach_words(base, params.pivotal, derived_seed(params.seed, "pivotal"))
        with ranks.leader_first():
            self._data = prepare(base, params, store, images, stand_in, self._encoded)
        release(base.vae)
        if not self._data.examples:
            raise StageError.precondition(
                f"none of the {len(images)} pictures can be trained on; the first: {self._data.rejected[0]['reason']}"
            )
        report.progress("caching texts", 0, now=True)
        self._texts = Texts(base, params)
        self._captions = [example.caption for example in self._data.examples.values()]
        with ranks.leader_first():
            self._texts.keep([*self._captions, *(example.caption for example in self._data.held_back.values())], store)
        give_back()
        self._order = DataOrder(self._data.buckets, params.batch_size * max(1, params.gradient_accumulation), params.seed)
        self._training = Training(base, params, self._data.examples, self._order, self._texts, words, ranks)
        self._validation = Validation(base, self._data.held_back, images)
        self._before = before
        self._last = save_steps(params.steps, params.saves)[: params.stop_after or None][-1]
        self._resumed_at = 0

    def result(self) -> dict[str, Any]:
        training, params = self._training, self._params
        self._resume()
        began = time.perf_counter()
        saves_at = set(save_steps(params.steps, params.saves))
        if training.state.step == 0:
            training.state.untrained_loss = self._validate()
        while training.state.step < self._last:
            self._step()
            step = training.state.step
            if step in saves_at and self._ranks.leads:
                self._save()
            if self._ranks.leads and params.checkpoint_every and step % params.checkpoint_every == 0 and step < self._last:
                with training.clock.phase("save"):
                    self._report.checkpoint(self._checkpoint())
            self._say(time.perf_counter() - began)
        return self._outputs() if self._ranks.leads else {}

    def _encoded(self, pictures: int) -> None:
        self._report.progress("caching latents", pictures, len(self._images), "pictures")

    def _resume(self) -> None:
        checkpoint = self._ranks.told(self._report.last_checkpoint)[0] or self._before
        if checkpoint is not None:
            self._training.resume(self._store.get(checkpoint.digest))
            self._resumed_at = self._training.state.step
            log.info("goes on from a checkpoint", step=self._resumed_at)

    def _checkpoint(self) -> ArtifactRef:
        return ref("training-checkpoint", self._store.put(self._training.checkpoint()), "application/x-pytorch")

    def _step(self) -> None:
        try:
            self._training.step()
        except LossNotFiniteError as error:
            pictures = ", ".join(self._images[number].name for number in error.pictures)
            raise StageError.precondition(
                f"{error}, on {pictures}; lower the learning rates, or train in bf16 or fp32 instead of fp16; {self._left()}"
            ) from error

    def _left(self) -> str:
        """Keep the saves of a run that cannot go on, and say where they are."""
        saves = saves_of(self._params, self._training.state, self._held_back())
        if not saves.files:
            return "nothing had been saved yet"
        artifact = saves.save(self._store)
        self._report.left(artifact)
        last = saves.files[-1]
        return f"the last good save, of step {last.meta['step']}, is blob {last.sha256} (all: file set {artifact.digest.sha256})"

    def _held_back(self) -> list[str]:
        return sorted(self._images[number].sha256 for number in self._data.held_back)

    def _validate(self) -> float | None:
        if not len(self._validation) or not self._ranks.leads:
            return None
        with self._training.clock.phase("validation"):
            return self._validation.loss(self._texts)

    def _save(self) -> None:
        params, state, training = self._params, self._training.state, self._training
        validation_loss = self._validate()
        with training.clock.phase("save"):
            header = metadata(params, self._base, state.step, self._order, self._data.buckets, self._captions, validation_loss)
            digest = self._store.put(lora_file(training.save(), header))
            saved = Saved(state.step, digest.sha256, digest.size_bytes, self._recent_loss(), validation_loss)
            if training.words:
                words = self._store.put(embedding_file(training.words))
                saved.embedding = (words.sha256, words.size_bytes)
        state.saves.append(saved)

    def _recent_loss(self) -> float:
        recent = self._training.state.losses[-LOSS_WINDOW:]
        return sum(recent) / len(recent)

    def _say(self, seconds: float) -> None:
        state, params = self._training.state, self._params
        speed = (state.step - self._resumed_at) / seconds
        metrics = {
            "loss": self._recent_loss(),
            "steps_per_s": speed,
            "seconds_left": (params.steps - state.step) / speed,
            **self._training.clock.shares(),
        }
        if state.saves and (validation_loss := state.saves[-1].validation_loss) is not None:
            metrics["validation_loss"] = validation_loss
        phase = "training"
        if state.pass_size < params.batch_size:
            phase += f" in passes of {state.pass_size}: memory holds no more"
        self._report.progress(phase, state.step, params.steps, "steps", metrics, now=state.step == self._last)

    def _outputs(self) -> dict[str, Any]:
        facts = {
            "images": len(self._data.examples),
            "held_back": len(self._data.held_back),
            "batches_per_epoch": self._order.batches_per_epoch,
            "buckets": [{"width": b.width, "height": b.height, "images": len(b.members)} for b in self._data.buckets],
            "pass_size": self._training.state.pass_size,
        }
        give_back()  # what draws the curve takes its share
        outputs = store_outputs(self._store, self._params, self._training.state, self._held_back(), facts)
        if self._params.stop_after:
            outputs["checkpoint"] = self._checkpoint()
        return {
            "outputs": {name: json_format.MessageToDict(artifact) for name, artifact in outputs.items()},
            "rejected": self._data.rejected,
        }


def _be_deterministic(threads: int) -> None:
    # cuBLAS needs its workspace fixed before its first call to be deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # That would write all new memory twice, to show who reads it too early.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    torch.set_num_threads(threads)
