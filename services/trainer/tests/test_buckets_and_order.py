"""Buckets, the order of the pictures, captions: what each step sees."""

from collections import Counter

import numpy as np
import pytest

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Image
from kyara_trainer.buckets import bucket_size, cover, make_buckets
from kyara_trainer.captions import caption_of
from kyara_trainer.schedule import DataOrder, derived_seed, save_steps


def test_pictures_of_like_shape_share_a_bucket_and_none_is_lost() -> None:
    sizes = [(100, 100), (105, 100), (50, 100), (52, 100), (49, 100), (300, 100)]
    buckets = make_buckets(sizes, 3, resolution=512, step=8)
    assert [bucket.members for bucket in buckets] == [(2, 3, 4), (0, 1), (5,)]


@pytest.mark.parametrize("ratio", [-2.0, -0.7, 0.0, 0.3, 1.5])
def test_every_bucket_has_about_the_same_area_in_whole_steps(ratio: float) -> None:
    width, height = bucket_size(ratio, 512, 8)
    assert width % 8 == height % 8 == 0
    assert abs(width * height / 512**2 - 1) < 0.03
    assert abs(np.log2(width / height) - ratio) < 0.06


def test_more_buckets_than_shapes_are_no_trouble() -> None:
    assert [b.members for b in make_buckets([(64, 64)] * 3, 5, 64, 8)] == [(0, 1, 2)]


def test_a_picture_covers_its_bucket_and_is_cut_about_its_centre() -> None:
    assert cover((200, 100), (64, 64)) == ((128, 64), (32, 0))
    assert cover((30, 90), (64, 64)) == ((64, 192), (0, 64))
    assert cover((64, 64), (64, 64)) == ((64, 64), (0, 0))


def test_an_epoch_sees_every_picture_once_and_small_buckets_too() -> None:
    buckets = make_buckets([(64, 64)] * 7 + [(32, 64)] * 2, 2, 64, 8)
    order = DataOrder(buckets, batch_size=4, seed=1)
    assert order.batches_per_epoch == 3
    for epoch in range(3):
        batches = [order.batch(epoch * 3 + place) for place in range(3)]
        assert Counter(number for batch in batches for number in batch) == Counter(range(9))
        assert sorted(map(len, batches)) == [2, 3, 4]
        assert all(len({number >= 7 for number in batch}) == 1 for batch in batches), "one bucket a batch"


def test_the_order_at_a_step_does_not_depend_on_how_one_came_there() -> None:
    buckets = make_buckets([(64, 64)] * 10, 1, 64, 8)
    whole, resumed = DataOrder(buckets, 3, seed=5), DataOrder(buckets, 3, seed=5)
    batches = [whole.batch(step) for step in range(30)]
    assert [resumed.batch(step) for step in (29, 3, 17)] == [batches[29], batches[3], batches[17]]
    assert batches != [DataOrder(buckets, 3, seed=6).batch(step) for step in range(30)]
    assert derived_seed(1, "noise", 12) != derived_seed(1, "noise", 13)


def test_the_caption_keeps_its_trigger_in_front_and_shuffles_and_drops_tags() -> None:
    image = Image(name="a", sha256="0" * 64, size=1, width=1, height=1, caption="kyara, blue hair, smile, smile, hat")
    caption = caption_of(image, "kyara")
    assert caption.tags == ("blue hair", "smile", "hat")
    drawn = [caption.draw(np.random.default_rng(seed), TrainParams(tag_dropout=0.3)) for seed in range(200)]
    assert all(text.startswith("kyara") for text in drawn)
    words = Counter(word for text in drawn for word in text.split(", ")[1:])
    assert all(110 < words[tag] < 170 for tag in caption.tags)
    assert len({text for text in drawn if text.count(",") == 3}) == 6, "in every order"
    assert caption.draw(np.random.default_rng(3), TrainParams()) == caption.draw(np.random.default_rng(3), TrainParams())


def test_a_picture_without_a_caption_is_captioned_by_its_tags_in_order_of_score() -> None:
    image = Image(name="a", sha256="0" * 64, size=1, width=1, height=1, tags={"hat": 0.5, "blue_hair": 0.9})
    assert caption_of(image, "kyara").tags == ("blue hair", "hat")


def test_saves_are_evenly_spaced_and_end_with_the_last_step() -> None:
    assert save_steps(240, 6) == [40, 80, 120, 160, 200, 240]
    assert save_steps(3, 10) == [1, 2, 3]
    assert save_steps(100, 1) == [100]
