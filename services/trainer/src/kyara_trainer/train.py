"""The training of one LoRA: pictures and captions in, saves out, one step after the other.

The same dataset, params, base model and number of threads give the same bytes on one machine, whether the run
is interrupted or not.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_trainer import adapter
from kyara_trainer.captions import Caption
from kyara_trainer.latents import Latent
from kyara_trainer.model import BaseModel
from kyara_trainer.schedule import DataOrder, derived_seed, learning_rate_factor
from kyara_trainer.state import TrainState, pack, unpack

ADAM_BETAS = (0.9, 0.999)
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class LossNotFiniteError(Exception):
    """Training came apart; going on would only save garbage."""

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(
            f"the loss became {loss} at step {step}; lower the learning rates, or train in bf16 or fp32 instead of fp16"
        )


@dataclass
class Clock:
    """Where the time goes: seconds by phase since the run began."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside as `name`."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin

    def shares(self) -> dict[str, float]:
        """Each phase's part of the time counted, `time_<phase>` in 0..1."""
        total = sum(self.seconds.values()) or 1.0
        return {f"time_{name}": seconds / total for name, seconds in self.seconds.items()}


class Training:
    """A run in progress: step it until `state.step` is what was asked for."""

    def __init__(
        self, base: BaseModel, params: TrainParams, latents: dict[int, Latent], captions: dict[int, Caption], order: DataOrder
    ) -> None:
        self._base = base
        self._params = params
        self._latents = latents
        self._captions = captions
        self._order = order
        self._dtype = PRECISIONS[params.precision or "fp32"]
        adapter.attach(base, params.unet, params.text_encoder, derived_seed(params.seed, "adapter"))
        if params.gradient_checkpointing:
            base.unet.enable_gradient_checkpointing()
            base.unet.train()  # the UNet checkpoints only while it trains; it has no dropout that this would wake
        self.weights = adapter.weights(base)
        self._optimizer = _optimizer(self.weights, params)
        self._scaler = torch.amp.grad_scaler.GradScaler(base.device.type, enabled=self._dtype == torch.float16)
        self.state = TrainState()
        self.clock = Clock()

    def step(self) -> float:
        """Do one step; its loss. Raises LossNotFiniteError."""
        params, number = self._params, self.state.step
        with self.clock.phase("data"):
            latents, noise, timesteps, captions = self._draw(number)
            noisy = self._base.noise.add_noise(latents, noise, timesteps)  # pyright: ignore[reportArgumentType]
        with self.clock.phase("forward"), torch.autocast(self._base.device.type, self._dtype, self._dtype != torch.float32):
            hidden = self._base.encode_text(captions, params.clip_skip)
            predicted = self._base.unet(noisy, timesteps, hidden).sample
            loss = torch.nn.functional.mse_loss(predicted.float(), self._base.target(latents, noise, timesteps).float())
        value = loss.item()
        if not math.isfinite(value):
            raise LossNotFiniteError(number + 1, value)
        with self.clock.phase("backward"):
            self._scaler.scale(loss).backward()
        with self.clock.phase("update"):
            self._update(number)
        self.state.losses.append(value)
        self.state.step += 1
        return value

    def save(self) -> dict[str, torch.Tensor]:
        """The LoRA as it is now, as its file holds it."""
        alphas = {"lora_unet": self._params.unet.alpha, "lora_te": self._params.text_encoder.alpha}
        return adapter.tensors(self._base, alphas, torch.float32 if self._dtype == torch.float32 else torch.float16)

    def checkpoint(self) -> bytes:
        """All that another process needs to go on from here."""
        return pack(self.state, self.weights, self._optimizer, self._scaler)

    def resume(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint of the same run."""
        self.state = unpack(checkpoint, self.weights, self._optimizer, self._scaler)

    def _draw(self, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """Latents, noise, timesteps and captions of a step: a function of the seed and the step's number alone."""
        members = self._order.batch(number)
        # Drawn on the CPU so that the numbers do not depend on the device.
        dice = torch.Generator().manual_seed(derived_seed(self._params.seed, "noise", number))
        means = torch.stack([self._latents[member].mean for member in members])
        stds = torch.stack([self._latents[member].std for member in members])
        latents = means + stds * torch.randn(means.shape, generator=dice)
        noise = torch.randn(means.shape, generator=dice)
        timesteps = torch.randint(0, self._base.noise.config["num_train_timesteps"], (len(members),), generator=dice)
        rng = np.random.default_rng(derived_seed(self._params.seed, "captions", number))
        captions = [self._captions[member].draw(rng, self._params.tag_dropout) for member in members]
        device = self._base.device
        return latents.to(device), noise.to(device), timesteps.to(device), captions

    def _update(self, number: int) -> None:
        params = self._params
        factor = learning_rate_factor(number, params.warmup_steps)
        for group in self._optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
        if params.max_gradient_norm > 0:
            self._scaler.unscale_(self._optimizer)
            torch.nn.utils.clip_grad_norm_(list(self.weights.values()), params.max_gradient_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)


def train(training: Training, steps: int, after_step: Callable[[int, float], None]) -> None:
    """Step until `steps` are done; `after_step(step, loss)` sees each, counted from 1."""
    while training.state.step < steps:
        loss = training.step()
        after_step(training.state.step, loss)


def _optimizer(weights: dict[str, torch.nn.Parameter], params: TrainParams) -> torch.optim.AdamW:
    text = set(adapter.text_weight_names(list(weights)))
    parts = [
        ([weight for name, weight in weights.items() if name not in text], params.unet.learning_rate),
        ([weight for name, weight in weights.items() if name in text], params.text_encoder.learning_rate),
    ]
    groups = [{"params": part, "lr": rate, "full_lr": rate} for part, rate in parts if part]
    return torch.optim.AdamW(groups, betas=ADAM_BETAS, weight_decay=params.weight_decay)
