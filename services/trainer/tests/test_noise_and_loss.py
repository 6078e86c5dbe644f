"""Noise, loss weights and learning rates against their papers' formulas, written out here once more."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_trainer import noise
from kyara_trainer.loading import load_base
from kyara_trainer.loss import min_snr_weights, picture_losses
from kyara_trainer.model import BaseModel
from kyara_trainer.optimiser import learning_rate_factor


def dice(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def base(models: Path) -> BaseModel:
    return load_base(models / "meinamix_v11", torch.device("cpu"))


def test_noise_offset_shifts_each_channel_of_each_picture_as_a_whole() -> None:
    plain = torch.randn(3, 4, 6, 5, generator=dice(1))
    moved = noise.offset(plain, 0.1, dice()) - plain
    assert torch.allclose(moved, 0.1 * torch.randn((3, 4, 1, 1), generator=dice()).expand_as(moved), atol=1e-6)
    assert len(moved.mean(dim=(2, 3)).flatten().unique()) == 12


def test_multires_noise_is_the_sum_of_coarser_layers_brought_back_to_a_deviation_of_one() -> None:
    plain = torch.randn(2, 4, 16, 12, generator=dice(1))
    found = noise.multires(plain, 6, 0.3, dice())
    again, total = dice(), plain.double()
    for layer in range(6):
        ratio = 2 + 2 * float(torch.rand((), generator=again))
        height, width = max(1, int(16 / ratio**layer)), max(1, int(12 / ratio**layer))
        coarse = torch.randn((2, 4, height, width), generator=again).double().numpy()
        total = total + 0.3**layer * torch.from_numpy(np.stack([[_scaled(c, 16, 12) for c in picture] for picture in coarse]))
        if (height, width) == (1, 1):
            break
    expected = np.stack([picture / picture.std(ddof=1) for picture in total.numpy()])
    assert np.allclose(found.numpy(), expected, atol=1e-5)
    assert torch.allclose(found.std(dim=(1, 2, 3)), torch.ones(2), atol=1e-5)


def test_multires_noise_of_a_picture_does_not_depend_on_the_rest_of_its_batch() -> None:
    plain = torch.randn(1, 4, 8, 8, generator=dice(1))
    other = 5 * torch.randn(1, 4, 8, 8, generator=dice(2))
    alone = noise.multires(plain, 1, 0.3, dice())
    together = noise.multires(torch.cat([plain, other]), 1, 0.3, dice())
    assert torch.allclose(alone[0], together[0], atol=1e-6)


def test_neither_noise_is_there_unless_asked_for() -> None:
    plain = torch.randn(2, 4, 8, 8, generator=dice(1))
    assert noise.shaped(plain, TrainParams(), dice()) is plain
    assert not torch.equal(noise.shaped(plain, TrainParams(noise_offset=0.1), dice()), plain)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_min_snr_weights_are_the_papers(base: BaseModel, prediction: str) -> None:
    base.noise.register_to_config(prediction_type=prediction)
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    timesteps = torch.tensor([0, 1, 50, 400, 999])
    snr = (kept / (1 - kept))[timesteps.numpy()]
    expected = np.minimum(snr, 5) / (snr if prediction == "epsilon" else snr + 1)
    assert np.allclose(min_snr_weights(base, timesteps, 5).numpy(), expected, rtol=1e-3)
    assert expected.max() / expected.min() > 5, "the timesteps differ"


def test_a_pictures_loss_is_its_own_mean_squared_error() -> None:
    predicted, target = torch.randn(3, 4, 5, 5, generator=dice(1)), torch.randn(3, 4, 5, 5, generator=dice(2))
    expected = [((p - t) ** 2).mean() for p, t in zip(predicted.numpy(), target.numpy(), strict=True)]
    assert np.allclose(picture_losses(predicted, target).numpy(), expected, atol=1e-6)


def test_the_learning_rate_warms_up_and_then_follows_its_schedule() -> None:
    def factors(schedule: str) -> list[float]:
        return [learning_rate_factor(step, TrainParams(steps=11, warmup_steps=3, schedule=schedule)) for step in range(11)]

    warm = [0.25, 0.5, 0.75]
    assert np.allclose(factors("constant"), [*warm, *[1] * 8])
    assert factors("") == factors("constant")
    assert np.allclose(factors("linear"), [*warm, *(1 - n / 8 for n in range(8))])
    assert np.allclose(factors("cosine"), [*warm, *((1 + math.cos(math.pi * n / 8)) / 2 for n in range(8))])
    assert learning_rate_factor(0, TrainParams(steps=1)) == 1


def _scaled(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, the centres of the corners' pixels half a pixel from the edge."""
    rows, columns = values.shape
    y = np.clip((np.arange(height) + 0.5) * rows / height - 0.5, 0, rows - 1)
    x = np.clip((np.arange(width) + 0.5) * columns / width - 0.5, 0, columns - 1)
    top, left = y.astype(int), x.astype(int)
    down, right = np.minimum(top + 1, rows - 1), np.minimum(left + 1, columns - 1)
    dy, dx = (y - top)[:, None], (x - left)[None, :]
    upper = values[np.ix_(top, left)] * (1 - dx) + values[np.ix_(top, right)] * dx
    lower = values[np.ix_(down, left)] * (1 - dx) + values[np.ix_(down, right)] * dx
    return upper * (1 - dy) + lower * dy
