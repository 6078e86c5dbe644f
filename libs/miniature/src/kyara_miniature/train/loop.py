"""One training loop for the recognition models, the same weights for the same seed on the same machine.

AdamW, a one-cycle learning rate, bfloat16 where the CPU has it (twice as fast there), and an exponential
moving average of the weights, which is what is exported.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    steps: int
    rate: float
    weight_decay: float = 0.02
    average: float = 0.97
    """How much of the averaged weights stays at each step. The runs are short: a longer memory would hold bad weights."""


@dataclass(frozen=True)
class Trained:
    """The averaged weights (in the network given, set to eval) and what the training took."""

    network: nn.Module
    steps: int
    minutes: float
    final_loss: float


def has_fast_bfloat16() -> bool:
    """Whether bfloat16 convolutions are done in hardware here; without it they would be slower than float32."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def train(network: nn.Module, plan: Plan, loss_of: Callable[[int], Tensor], extra: nn.Module | None = None) -> Trained:
    """Minimise `loss_of(step)`, which draws its own batch and runs `network` (and `extra`, trained but not kept)."""
    network.train()
    parameters = [*network.parameters(), *(extra.parameters() if extra is not None else [])]
    optimiser = torch.optim.AdamW(parameters, plan.rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, plan.rate, total_steps=plan.steps, pct_start=0.1, final_div_factor=100.0
    )
    averaged = copy.deepcopy(network)
    started, smooth = time.monotonic(), 0.0
    for step in range(plan.steps):
        loss = loss_of(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        schedule.step()
        follow(averaged, network, min(plan.average, (step + 1) / (step + 10)))
        smooth = loss.item() if step == 0 else 0.98 * smooth + 0.02 * loss.item()
        if step % 50 == 49 or step + 1 == plan.steps:
            minutes = (time.monotonic() - started) / 60
            print(f"  step {step + 1}/{plan.steps} loss {smooth:.4f} {minutes:.1f} min", flush=True)
    network.load_state_dict(averaged.state_dict())
    return Trained(network.eval(), plan.steps, round((time.monotonic() - started) / 60, 1), round(smooth, 4))


@torch.no_grad()
def follow(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the average a little towards the network; counters and batch statistics are taken over as averages too."""
    for target, source in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if target.dtype.is_floating_point:
            target.lerp_(source, 1.0 - keep)
        else:
            target.copy_(source)
