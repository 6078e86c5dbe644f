"""Training of the miniature CCIP: a vector for who is drawn, whatever they wear and whoever draws them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kyara_miniature.tags import TAGS
from kyara_miniature.train.augment import choose_cuts, cut_out, disturb
from kyara_miniature.train.ccip_calibrate import calibrate
from kyara_miniature.train.ccip_quality import measure
from kyara_miniature.train.crops import LOOK_ALIKE_SHARE, Crops, training_crops
from kyara_miniature.train.export import parameters, write_card, write_onnx
from kyara_miniature.train.loop import Plan, has_fast_bfloat16, train
from kyara_miniature.train.recognise_net import (
    CCIP_SIZE,
    CLIP_MEAN,
    CLIP_STD,
    FEATURES,
    TOP,
    Ccip,
    CcipFile,
)
from kyara_miniature.train.tagger_labels import labels_of

SEED = 30
PEOPLE, VIEWS = 32, 4
"""A batch: how many characters, how many pictures of each."""
SHARES = (0.5, 0.2, 0.15, 0.15)
"""How often a cut shows the person, the half body, the head, the whole picture."""
SCALE, MARGIN = 20.0, 0.25
TEMPERATURE = 0.1
TAG_WEIGHT = 0.1


class Identities(nn.Module):
    """Loss over features: cosine softmax with a margin over all characters (CosFace, Wang et al. 2018,
    https://arxiv.org/abs/1801.09414) and supervised contrast within the batch (Khosla et al. 2020,
    https://arxiv.org/abs/2004.11362)."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(characters, FEATURES) * 0.05)

    def forward(self, features: Tensor, who: Tensor) -> Tensor:
        cosines = features @ F.normalize(self.centres, dim=1).T
        cosines = cosines - MARGIN * F.one_hot(who, len(self.centres))
        return F.cross_entropy(SCALE * cosines, who) + contrast(features, who)


class Lessons(nn.Module):
    """All that CCIP's network is taught: identities by its features, and the tags of a cut by what lies beneath them.

    The tags make the backbone see hair, eyes and headwear early, and leave it ready for the tagger.
    """

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.identities = Identities(characters)
        self.tags = nn.Linear(2 * TOP, len(TAGS))

    def forward(self, pooled: Tensor, features: Tensor, batch: Batch) -> Tensor:
        logits = self.tags(pooled.float())
        wrong = F.binary_cross_entropy_with_logits(logits, batch.shown, batch.counts, reduction="sum")
        return self.identities(features, batch.who) + TAG_WEIGHT * wrong / len(batch.who)


def contrast(features: Tensor, who: Tensor) -> Tensor:
    """Mean negative log likelihood of a picture's companions among all other pictures of the batch."""
    itself = torch.eye(len(who), dtype=torch.bool)
    logits = (features @ features.T / TEMPERATURE).masked_fill(itself, -1e4)
    same = (who[:, None] == who[None, :]) & ~itself
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    return -((log_share * same).sum(dim=1) / same.sum(dim=1).clamp(min=1)).mean()


@dataclass(frozen=True)
class Batch:
    """Disturbed cuts [b, 3, CCIP_SIZE, CCIP_SIZE], normalised as CLIP does; whose they are [b]; which tags they show
    and which of those count, [b, len(TAGS)] as 0 or 1."""

    images: Tensor
    who: Tensor
    shown: Tensor
    counts: Tensor


class Batches:
    """Batches of `PEOPLE` characters with `VIEWS` pictures each; look-alikes come together with whom they resemble."""

    def __init__(self, crops: Crops, rng: np.random.Generator) -> None:
        self.crops, self.rng = crops, rng
        order = np.argsort(crops.who, kind="stable")
        self.rows = np.split(order, np.cumsum(np.bincount(crops.who))[:-1])
        self.every = round(1 / LOOK_ALIKE_SHARE)

    def people(self) -> np.ndarray:
        """`PEOPLE` characters, a quarter of them pairs of look-alikes."""
        count = len(self.rows)
        first = self.rng.permutation(np.arange(0, count - 1, self.every))[: PEOPLE // 8]
        others = self.rng.permutation(np.setdiff1d(np.arange(count), [*first, *(first + 1)]))
        return np.concatenate([first, first + 1, others])[:PEOPLE]

    def draw(self) -> Batch:
        """The next batch."""
        people = self.people()
        rows = np.concatenate([self.rng.choice(self.rows[who], VIEWS) for who in people])
        cut = choose_cuts(self.rng, self.crops.boxes[rows], SHARES)
        images = cut_out(self.crops.pictures[rows], cut, self.rng, CCIP_SIZE, keep_aspect=False)
        images = normalise(disturb(images, self.rng))
        shown, counts = labels_of(self.crops.tags[rows], cut.kind, self.crops.framed[rows])
        who = torch.from_numpy(self.crops.who[rows])
        return Batch(images, who, torch.from_numpy(shown).float(), torch.from_numpy(counts).float())


def normalise(images: Tensor) -> Tensor:
    """RGB in 0..1 by CLIP's mean and deviation."""
    mean, deviation = torch.tensor(CLIP_MEAN).view(3, 1, 1), torch.tensor(CLIP_STD).view(3, 1, 1)
    return (images - mean) / deviation


def ccip(out: Path, work: Path, smoke: bool) -> None:
    """Train and write the two ONNX files, metrics.json, cluster.json and card.json into `out`."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    characters = 40 if smoke else 1500
    crops = training_crops(work, characters)
    network = Ccip().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    lessons, batches, fast = Lessons(characters), Batches(crops, rng), has_fast_bfloat16()

    def loss_of(_step: int) -> Tensor:
        batch = batches.draw()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            pooled = network.pooled(batch.images.contiguous(memory_format=torch.channels_last))
            features = network.features(pooled)
        return lessons(pooled, features, batch)

    trained = train(network, Plan(steps=4 if smoke else 500, rate=3e-3, weight_decay=0.05), loss_of, lessons)
    write_onnx(
        CcipFile(network),
        torch.zeros(1, 3, 384, 384),
        out / "model_feat.onnx",
        inputs={"input": {0: "batch"}},
        outputs={"output": {0: "batch"}},
    )
    found = calibrate(out, characters=20 if smoke else 80)
    quality = measure(out, characters=12 if smoke else 60)
    write_card(
        out,
        {
            "what": "CCIP of the miniature world: features and their differences",
            "seed": SEED,
            "parameters": parameters(network),
            "characters": characters,
            "pictures": len(crops),
            "batch": PEOPLE * VIEWS,
            "steps": trained.steps,
            "training_minutes": trained.minutes,
            "final_loss": trained.final_loss,
            "validation": found,
            "quality": quality,
        },
    )
