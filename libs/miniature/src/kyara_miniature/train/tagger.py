"""Training of the miniature tagger: which of the world's words a picture, or a crop of one, shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kyara_miniature.tags import TAGS
from kyara_miniature.train.augment import choose_cuts, cut_out, disturb
from kyara_miniature.train.crops import Crops, joined, more_portraits, training_crops
from kyara_miniature.train.export import parameters, write_card, write_onnx
from kyara_miniature.train.loop import Plan, has_fast_bfloat16, train
from kyara_miniature.train.recognise_net import TAGGER_SIZE, Tagger, TaggerFile
from kyara_miniature.train.tagger_calibrate import shifts
from kyara_miniature.train.tagger_labels import labels_of
from kyara_miniature.train.tagger_quality import measure, write_tag_list

SEED = 40
BATCH = 32
SHARES = (0.15, 0.1, 0.2, 0.55)
"""How often a cut shows the person, the half body, the head, the whole picture."""
RARE_WEIGHT = 1.5
"""How much more a shown tag weighs than an absent one: at 0.35, a tag should rather be given than missed."""


def draw_batch(crops: Crops, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Disturbed cuts [b, 3, s, s] in 0..1, padded white to squares; their tags [b, t] as 0 or 1; which tags count."""
    rows = rng.integers(len(crops), size=BATCH)
    cut = choose_cuts(rng, crops.boxes[rows], SHARES)
    images = cut_out(crops.pictures[rows], cut, rng, TAGGER_SIZE, keep_aspect=True)
    shown, counts = labels_of(crops.tags[rows], cut.kind, crops.framed[rows])
    return disturb(images, rng, strength=0.5), torch.from_numpy(shown).float(), torch.from_numpy(counts).float()


def write(network: Tagger, out: Path) -> None:
    """The network as `out/model.onnx`."""
    write_onnx(
        TaggerFile(network),
        torch.zeros(1, 448, 448, 3),
        out / "model.onnx",
        inputs={"input": {0: "batch"}},
        outputs={"output": {0: "batch"}, "embedding": {0: "batch"}},
    )


def tagger(out: Path, work: Path, smoke: bool) -> None:
    """Train and write model.onnx, selected_tags.csv and card.json into `out`."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    characters = 40 if smoke else 1500
    # A hair style is learned from many heads that have it, not from many pictures of one.
    crops = joined(training_crops(work, characters), more_portraits(work, 2 * characters))
    network, fast = Tagger(len(TAGS)).to(memory_format=torch.channels_last), has_fast_bfloat16()  # pyright: ignore

    def loss_of(_step: int) -> Tensor:
        images, shown, counts = draw_batch(crops, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            _, logits = network(images.contiguous(memory_format=torch.channels_last))
        weight = counts * (1 + (RARE_WEIGHT - 1) * shown)
        return F.binary_cross_entropy_with_logits(logits, shown, weight, reduction="sum") / BATCH

    trained = train(network, Plan(steps=4 if smoke else 6000, rate=1.5e-3, weight_decay=0.05), loss_of)
    torch.save(network.state_dict(), work / "tagger.pt")
    write_tag_list(out / "selected_tags.csv", crops.tags.sum(axis=0).tolist())
    write(network, out)
    with torch.no_grad():
        network.classify.bias += torch.from_numpy(shifts(out, characters=20 if smoke else 800)).float()
    write(network, out)
    quality = measure(out, characters=20 if smoke else 400)
    write_card(
        out,
        {
            "what": "tagger of the miniature world, in WD14's format",
            "seed": SEED,
            "parameters": parameters(network),
            "tags": len(TAGS),
            "characters": 3 * characters,
            "pictures": len(crops),
            "batch": BATCH,
            "steps": trained.steps,
            "training_minutes": trained.minutes,
            "final_loss": trained.final_loss,
            "quality": quality,
        },
    )
