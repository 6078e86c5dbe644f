"""What turns gradients into weights: the optimiser, one group for each part trained, and the learning rate of a step."""

import math
from typing import Any

import torch

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_trainer.adapter import part_of

ADAM_BETAS = (0.9, 0.999)


class OptimizerMissingError(Exception):
    """The optimiser needs a package that is not installed."""


def make_optimizer(weights: dict[str, torch.nn.Parameter], params: TrainParams) -> torch.optim.Optimizer:
    """The optimiser of `weights` by their names in the file. Raises OptimizerMissingError."""
    rules = {
        "unet": {"full_lr": params.unet.learning_rate, "weight_decay": params.weight_decay},
        "text_encoder": {"full_lr": params.text_encoder.learning_rate, "weight_decay": params.weight_decay},
        "pivotal": {"full_lr": params.pivotal.learning_rate, "weight_decay": params.pivotal.weight_decay},
    }
    groups: list[dict[str, Any]] = []
    for part, rule in rules.items():
        members = [weight for name, weight in weights.items() if part_of(name) == part]
        if members:
            groups.append({"params": members, "lr": rule["full_lr"], **rule})
    if params.optimizer == "adamw8bit":
        return _adamw8bit(groups)
    # One kernel for all weights of a group, and none that allocates.
    return torch.optim.AdamW(groups, betas=ADAM_BETAS, fused=True)


def _adamw8bit(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    try:
        from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise OptimizerMissingError("adamw8bit needs bitsandbytes: pip install 'kyara-trainer[8bit]'") from error
    return AdamW8bit(groups, betas=ADAM_BETAS)


def learning_rate_factor(step: int, params: TrainParams) -> float:
    """Part of the full learning rates at `step`, counted from 0: linear warm-up, then the schedule."""
    warmup = params.warmup_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, params.steps - warmup)
    match params.schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        case "linear":
            return 1 - done
        case _:
            return 1.0
