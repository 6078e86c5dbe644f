"""The checkpoint of a run: all that is needed to go on as if nothing had happened.

There is no generator state in it, because a step's randomness follows from the seed and the step (`schedule`).
"""

import io
from dataclasses import astuple, dataclass, field
from typing import Any

import torch


@dataclass
class Saved:
    """A LoRA at a step, as kept in the store."""

    step: int
    sha256: str
    size: int
    loss: float
    validation_loss: float | None = None
    embedding: tuple[str, int] | None = None
    """Digest and size of the pivotal words' file."""


@dataclass
class TrainState:
    """Where a run is."""

    step: int = 0
    """Steps done."""
    losses: list[float] = field(default_factory=list)
    """One a step."""
    saves: list[Saved] = field(default_factory=list)
    pass_size: int = 1
    """Pictures that go through the model at once; made smaller when memory runs out."""
    untrained_loss: float | None = None
    """Loss on the pictures held back, before the first step."""


def pack(state: TrainState, weights: dict[str, torch.nn.Parameter], optimizer: Any, scaler: Any) -> bytes:
    """A checkpoint's bytes."""
    buffer = io.BytesIO()
    content = {
        "step": state.step,
        "losses": state.losses,
        "saves": [list(astuple(save)) for save in state.saves],
        "pass_size": state.pass_size,
        "untrained_loss": state.untrained_loss,
        "weights": {name: weight.detach().cpu() for name, weight in weights.items()},
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
    }
    torch.save(content, buffer)
    return buffer.getvalue()


def unpack(data: bytes, weights: dict[str, torch.nn.Parameter], optimizer: Any, scaler: Any) -> TrainState:
    """Bring the weights, optimizer and scaler to a checkpoint, and say where it is.

    Only tensors and plain values are read (`weights_only`): a checkpoint cannot run code. Raises ValueError when
    it is of another LoRA.
    """
    content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if {name: value.shape for name, value in content["weights"].items()} != {n: w.shape for n, w in weights.items()}:
        raise ValueError("the checkpoint holds other weights than this run trains")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(content["weights"][name])
    optimizer.load_state_dict(content["optimizer"])
    scaler.load_state_dict(content["scaler"])
    saves = [Saved(*save) for save in content["saves"]]
    return TrainState(content["step"], content["losses"], saves, content["pass_size"], content["untrained_loss"])
