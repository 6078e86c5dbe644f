"""The training of one LoRA, one step after the other.

The same dataset, params, base model and number of threads give the same bytes on one machine, whether the run
is interrupted or not.
"""

from collections.abc import Mapping
from contextlib import nullcontext

import structlog
import torch

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_trainer import adapter
from kyara_trainer.clock import Clock
from kyara_trainer.draws import Batch, Draws, Example
from kyara_trainer.loss import LossNotFiniteError, checked, min_snr_weights, picture_losses
from kyara_trainer.model import BaseModel
from kyara_trainer.optimiser import learning_rate_factor, make_optimizer
from kyara_trainer.ranks import Ranks
from kyara_trainer.schedule import DataOrder, derived_seed
from kyara_trainer.state import TrainState, pack, unpack
from kyara_trainer.texts import Texts

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

log = structlog.get_logger()


class NoMemoryError(Exception):
    """Not even one picture at a time fits."""


class Training:
    """A run in progress: step it until `state.step` is what was asked for.

    `words` are the pivotal embeddings, by their names in an embedding file. `ranks` all make the same steps.
    """

    def __init__(
        self,
        base: BaseModel,
        params: TrainParams,
        examples: Mapping[int, Example],
        order: DataOrder,
        texts: Texts,
        words: Mapping[str, torch.nn.Parameter],
        ranks: Ranks,
    ) -> None:
        self._base = base
        self._ranks = ranks
        self._params = params
        self._draws = Draws(base, params, examples, order)
        self._texts = texts
        self._dtype = PRECISIONS[params.precision or "fp32"]
        adapter.attach(base, params, derived_seed(params.seed, "adapter"))
        if params.gradient_checkpointing:
            base.unet.enable_gradient_checkpointing()
            base.unet.train()  # the UNet checkpoints only while it trains; it has no dropout that this would wake
        self.words = dict(words)
        self.weights = {**adapter.weights(base), **words}
        for weight in self.weights.values():
            weight.requires_grad_(True)  # peft freezes all but what it adds itself, the words too
        self._optimizer = make_optimizer(self.weights, params)
        self._scaler = torch.amp.grad_scaler.GradScaler(base.device.type, enabled=self._dtype == torch.float16)
        # It is only ready when it has scaled something, and a rank's share of the first batch may be empty.
        self._scaler.scale(torch.zeros((), device=base.device))
        if params.torch_compile:
            base.unet.compile()
        self.state = TrainState(pass_size=params.batch_size)
        self.clock = Clock()

    def step(self) -> float:
        """Do one step; its loss. Raises LossNotFiniteError, NoMemoryError."""
        number = self.state.step
        with self.clock.phase("data"):
            batch = self._draws.batch(number)
        value = self._gradients(batch)
        with self.clock.phase("update"):
            self._update(number)
        self.state.losses.append(value)
        self.state.step += 1
        return value

    def save(self) -> dict[str, torch.Tensor]:
        """The LoRA as it is now, as its file holds it."""
        return adapter.tensors(self._base, torch.float32 if self._dtype == torch.float32 else torch.float16)

    def checkpoint(self) -> bytes:
        """All that another process needs to go on from here."""
        return pack(self.state, self.weights, self._optimizer, self._scaler)

    def resume(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint of the same run."""
        self.state = unpack(checkpoint, self.weights, self._optimizer, self._scaler)

    def _gradients(self, batch: Batch) -> float:
        """The step's loss, and its gradients in the weights: in passes of as many pictures as memory holds.

        Every rank has its share of the passes. What one cannot do, none does: all stop, or all begin the step again in smaller
        ones.
        """
        ranks, weights = self._ranks, list(self.weights.values())
        while True:
            size = min(self.state.pass_size, -(-len(batch.members) // ranks.count))
            mine = self._tried(batch.passes(size)[ranks.rank :: ranks.count], batch)
            with self.clock.phase("other_ranks") if ranks.count > 1 else nullcontext():
                values = ranks.told(mine)
                broken = [value for value in values if isinstance(value, LossNotFiniteError)]
                if broken:
                    raise broken[0]
                losses = [value for value in values if isinstance(value, float)]
                if len(losses) == ranks.count:
                    ranks.sum_gradients(weights)
                    return sum(losses)
            self._make_room(size)

    def _tried(self, parts: list[Batch], batch: Batch) -> float | LossNotFiniteError | None:
        """What the parts add to the step's loss; the error when that is no number, None when memory ran out."""
        try:
            return sum((self._pass(part, batch) for part in parts), 0.0)
        except LossNotFiniteError as error:
            return error
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None  # and the error with it, whose traceback holds on to what fills the memory

    def _pass(self, part: Batch, batch: Batch) -> float:
        base, number = self._base, self.state.step + 1
        with self.clock.phase("forward"), torch.autocast(base.device.type, self._dtype, self._dtype != torch.float32):
            noisy = base.noise.add_noise(part.latents, part.noise, part.timesteps)  # pyright: ignore[reportArgumentType]
            predicted = base.predict(noisy, part.timesteps, self._texts.encode(part.captions), part.framings)
            losses = picture_losses(predicted, base.target(part.latents, part.noise, part.timesteps))
            if self._params.min_snr_gamma:
                losses = losses * min_snr_weights(base, part.timesteps, self._params.min_snr_gamma)
            loss = losses.sum() / len(batch.members)
        value = checked(loss.item(), number, part.members)
        with self.clock.phase("backward"):
            self._scaler.scale(loss).backward()
        return value

    def _make_room(self, size: int) -> None:
        """Have passes of `size` pictures, which did not fit on some rank, followed by smaller ones on all."""
        self._optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1:
            raise NoMemoryError(f"step {self.state.step + 1}: not even one picture at a time fits into memory")
        self.state.pass_size = size // 2
        log.warning("out of memory: goes on with smaller passes", step=self.state.step + 1, pictures=self.state.pass_size)

    def _update(self, number: int) -> None:
        params = self._params
        factor = learning_rate_factor(number, params)
        for group in self._optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
        if params.max_gradient_norm > 0:
            self._scaler.unscale_(self._optimizer)
            torch.nn.utils.clip_grad_norm_(list(self.weights.values()), params.max_gradient_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; on the CPU, torch only says so in words."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
