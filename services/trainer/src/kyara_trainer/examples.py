"""A dataset made ready: bucketed, encoded, captioned, and some of it held back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Image, Store
from kyara_trainer.buckets import Bucket, make_buckets
from kyara_trainer.captions import caption_of
from kyara_trainer.draws import Example
from kyara_trainer.latents import Latent, encode, framing_of
from kyara_trainer.model import BaseModel
from kyara_trainer.validation import held_back


@dataclass(frozen=True)
class Dataset:
    """Pictures by number, as they are trained on and as they are validated on."""

    examples: dict[int, Example]
    held_back: dict[int, Example]
    buckets: list[Bucket]
    """Of `examples` alone."""
    rejected: list[dict[str, str]]


def prepare(
    base: BaseModel, params: TrainParams, store: Store, images: Sequence[Image], words: str, done: Callable[[int], None]
) -> Dataset:
    """Make `images` ready; `words` stand for the trigger. `done(pictures)` is told how far it is."""
    buckets = make_buckets([(i.width, i.height) for i in images], params.buckets, params.resolution, params.bucket_step)
    bucket_of = {number: bucket for bucket in buckets for number in bucket.members}
    rejected: list[dict[str, str]] = []

    def reject(number: int, reason: str) -> None:
        rejected.append({"item": images[number].name, "reason": reason})

    latents: dict[int, Latent] = {}
    for number, latent in encode(base, store, images, buckets, reject):
        latents[number] = latent
        done(len(latents))
    usable = sorted(latents)
    held = {usable[place] for place in held_back([images[number] for number in usable], params.validation_share)}
    examples = {
        number: Example(
            latents[number], caption_of(images[number], params.trigger, words), framing_of(images[number], bucket_of[number])
        )
        for number in usable
    }
    return Dataset(
        examples={number: example for number, example in examples.items() if number not in held},
        held_back={number: example for number, example in examples.items() if number in held},
        buckets=_without(buckets, set(usable) - held),
        rejected=rejected,
    )


def _without(buckets: list[Bucket], usable: set[int]) -> list[Bucket]:
    """The buckets with only the pictures in `usable`; empty ones are gone."""
    kept = [Bucket(b.width, b.height, tuple(number for number in b.members if number in usable)) for b in buckets]
    return [bucket for bucket in kept if bucket.members]
