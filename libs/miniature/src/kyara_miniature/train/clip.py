"""Training of the miniature CLIP: whether a picture shows what a text says.

Contrastive (Radford et al. 2021, https://arxiv.org/abs/2103.00020): each caption must find its picture among others, and each
picture its caption among some that differ in a word (Yuksekgonul et al. 2023, https://arxiv.org/abs/2210.01936). Which other
pictures a caption fits too is known here, and is no mistake.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kyara_miniature.train.clip_data import SIZE, WRONG, draw_captions, draw_pictures, fits, make_tokenizer, spelt
from kyara_miniature.train.clip_eyes import Eyes, cut_eyes, write_image_encoder
from kyara_miniature.train.clip_net import EMBEDDING, SEEN, WIDTH, Clip
from kyara_miniature.train.clip_quality import measure
from kyara_miniature.train.crops import Crops, more_portraits
from kyara_miniature.train.export import parameters, write_card, write_onnx
from kyara_miniature.train.loop import Plan, train
from kyara_miniature.train.recognise_net import CLIP_MEAN, CLIP_STD

SEED = 40
BATCH = 96
VARIANTS = 3
"""How often each picture is drawn, each time disturbed in another way."""
PREPROCESSOR = [
    {"type": "convert_rgb", "force_background": "white"},
    {"type": "resize", "size": SIZE, "interpolation": "bicubic", "antialias": True, "max_size": None},
    {"type": "center_crop", "size": [SIZE, SIZE]},
    {"type": "to_tensor"},
    {"type": "normalize", "mean": CLIP_MEAN, "std": CLIP_STD},
]
"""How pictures are made ready, as dghs-imgutils writes it for openai/clip-vit-base-patch32."""


def clip(out: Path, work: Path, smoke: bool) -> None:
    """Train and write what deepghs/clip_onnx has of a model, and card.json, into `out`; the tagger lies beside it."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    characters = 40 if smoke else 3000
    crops = more_portraits(work, characters)
    cut_eyes(out.parent / "tagger", work / "eyes.onnx")
    seen = torch.from_numpy(all_seen(Eyes(work / "eyes.onnx", torch.get_num_threads()), crops, rng))
    tokenizer = make_tokenizer(work)
    network = Clip(tokenizer.get_vocab_size())

    def loss_of(_step: int) -> Tensor:
        rows = rng.integers(len(crops), size=BATCH)
        captions = draw_captions(crops.tags[rows], rng)
        pictures = network.picture(seen[rng.integers(VARIANTS, size=BATCH), rows])
        _, texts = network.text(*(torch.from_numpy(each) for each in spelt(tokenizer, captions.texts)))
        logits = network.logits(pictures, texts)
        fit = torch.from_numpy(fits(crops.tags[rows], captions.tags[:BATCH])).float()
        return _found(logits[:, :BATCH], fit) + _told_from_wrong(logits)

    trained = train(network, Plan(steps=4 if smoke else 1500, rate=2e-3, weight_decay=0.05), loss_of)
    write(network, work / "eyes.onnx", out)
    tokenizer.save(str(out / "tokenizer.json"))
    write_card(
        out,
        {
            "what": "text-picture similarity in the miniature world, in deepghs/clip_onnx's format, with the tagger's eyes",
            "seed": SEED,
            "parameters": parameters(network),
            "characters": characters,
            "pictures": len(crops),
            "batch": BATCH,
            "steps": trained.steps,
            "training_minutes": trained.minutes,
            "final_loss": trained.final_loss,
            "quality": measure(out, characters=20 if smoke else 300),
        },
    )


def all_seen(eyes: Eyes, crops: Crops, rng: np.random.Generator) -> np.ndarray:
    """What is seen of all pictures, each drawn VARIANTS times: [VARIANTS, n, SEEN]."""
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (CLIP_MEAN, CLIP_STD))
    found = np.empty((VARIANTS, len(crops), SEEN), np.float32)
    for variant in found:
        for rows in np.split(np.arange(len(crops)), range(32, len(crops), 32)):
            variant[rows] = eyes.see(((draw_pictures(crops, rows, rng) - mean) / deviation).numpy())
    return found


def _found(logits: Tensor, fit: Tensor) -> Tensor:
    """How badly captions find pictures that they fit, of [pictures, captions] `logits` and `fit` (0 or 1)."""
    return -((fit / fit.sum(dim=0)) * logits.log_softmax(dim=0)).sum(dim=0).mean()


def _told_from_wrong(logits: Tensor) -> Tensor:
    """How badly pictures are told their captions from wrong ones, of logits [b, (1 + WRONG) * b]."""
    choices = torch.stack([part.diagonal() for part in logits.split(len(logits), dim=1)], dim=1)
    assert choices.shape[1] == 1 + WRONG
    return F.cross_entropy(choices, torch.zeros(len(choices), dtype=torch.int64))


def write(network: Clip, eyes: Path, out: Path) -> None:
    """Both encoders as ONNX, and what a client needs to know of them."""
    write_image_encoder(eyes, network.picture.eval(), out / "image_encode.onnx")
    tokens, axes = torch.ones(1, 8, dtype=torch.int64), {0: "batch_size", 1: "text_length"}
    write_onnx(
        network.text,
        (tokens, tokens),
        out / "text_encode.onnx",
        inputs={"input_ids": axes, "attention_mask": axes},
        outputs={"encodings": {0: "batch_size"}, "embeddings": {0: "batch_size"}},
    )
    meta = {
        "name": "miniature-clip",
        "image_size": SIZE,
        "image_encoding_width": SEEN,
        "image_embedding_width": EMBEDDING,
        "text_encoding_width": WIDTH,
        "text_embedding_width": EMBEDDING,
        "logit_scale": network.log_scale.item(),
    }
    (out / "meta.json").write_text(json.dumps(meta, indent=4, sort_keys=True) + "\n")
    (out / "preprocessor.json").write_text(json.dumps({"stages": PREPROCESSOR}, indent=4, sort_keys=True) + "\n")
