"""The loop that trains the base model's parts: it takes up where it was killed, with the same end.

A step draws everything that is random from its own number, so a checkpoint holds weights, averages and the
optimiser's state only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Course:
    """How long, how fast, and how often to write the checkpoint."""

    name: str
    steps: int
    rate: float
    warm_up: int = 100
    average: float = 0.998
    weight_decay: float = 0.01
    save_every: int = 200


@dataclass(frozen=True)
class Finished:
    """What the training took."""

    steps: int
    minutes: float
    final_loss: float


def run(
    course: Course,
    network: nn.Module,
    averaged: nn.Module,
    loss_of: Callable[[int], Tensor],
    work: Path,
    look: Callable[[int], None],
) -> Finished:
    """Minimise `loss_of(step)` over `network`; `averaged`, of the same shape, ends as its moving average.

    `look(step)` is called after every checkpoint and at the end, to show or to keep what there is by then.
    """
    weights = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, course.rate, betas=(0.9, 0.99), weight_decay=course.weight_decay, fused=True)
    path = work / f"{course.name}.ckpt"
    begun, spent, smooth = 0, 0.0, 0.0
    if path.exists():
        state = torch.load(path, weights_only=True)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        begun, spent, smooth = state["step"], state["spent"], state["smooth"]
    started = time.monotonic() - spent
    for step in range(begun, course.steps):
        for group in optimiser.param_groups:
            group["lr"] = course.rate * share_of_rate(step, course)
        loss = loss_of(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        _follow(averaged, network, min(course.average, (step + 1) / (step + 10)))
        smooth = loss.item() if step == 0 else 0.98 * smooth + 0.02 * loss.item()
        done = step + 1
        if done % course.save_every == 0 or done == course.steps:
            spent = time.monotonic() - started
            state = {
                "network": network.state_dict(), "averaged": averaged.state_dict(),
                "optimiser": optimiser.state_dict(), "step": done, "spent": spent, "smooth": smooth,
            }  # fmt: skip
            _save(state, path)
            print(f"  {course.name} {done}/{course.steps} loss {smooth:.4f} {spent / 60:.1f} min", flush=True)
            look(done)
    return Finished(course.steps, round(spent / 60, 1), round(smooth, 4))


def share_of_rate(step: int, course: Course) -> float:
    """A straight warm-up, then half a cosine down to a hundredth."""
    if step < course.warm_up:
        return (step + 1) / course.warm_up
    progress = (step - course.warm_up) / max(1, course.steps - course.warm_up)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2


def _save(state: dict[str, object], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.rename(path)


@torch.no_grad()
def _follow(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    for target, source in zip(averaged.parameters(), network.parameters(), strict=True):
        target.lerp_(source, 1.0 - keep)
