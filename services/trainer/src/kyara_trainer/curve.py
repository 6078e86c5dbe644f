"""A run's losses as a picture, to be published with the LoRA."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kyara_trainer.state import TrainState

WINDOW = 50
"""Steps that a point of the smooth line is the mean of."""


def curve_png(state: TrainState, title: str) -> bytes:
    """The loss of every step, its running mean and the loss on the pictures held back; the same bytes every time."""
    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    steps = np.arange(1, len(state.losses) + 1)
    axes.plot(steps, state.losses, color="0.8", linewidth=0.6, label="each step")
    axes.plot(steps, running_mean(state.losses, WINDOW), color="tab:blue", label=f"mean of {WINDOW} steps")
    held = [(save.step, save.validation_loss) for save in state.saves if save.validation_loss is not None]
    if state.untrained_loss is not None:
        axes.plot(*zip((0, state.untrained_loss), *held, strict=True), color="tab:orange", marker="o", label="held back")
    axes.set(title=title, xlabel="step", ylabel="loss")
    axes.legend(loc="upper right")
    buffer = io.BytesIO()
    # Without the library's version in it.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def running_mean(values: Sequence[float], window: int) -> np.ndarray:
    """Mean of each value and of those before it, `window` at most."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return (sums[ends] - sums[starts]) / (ends - starts)
