"""What clustering promises, on casts of known truth."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from kyara_artifacts import Image
from kyara_clusterer.refine import refine
from kyara_clusterer.relation import Relation, relate
from kyara_clusterer.search import NOISE, Setting, ranked, search, settings_for
from services.clusterer.tests.clusterer_cast import cast

# The threshold of the default CCIP model; with it the made-up vectors verify at F1 0.8-0.95, as real ones do in video.
THRESHOLD = 0.178475


def crops(count: int, frames: dict[int, int] | None = None) -> list[Image]:
    """Crops of a frame each, but those in `frames` share the frame of another."""
    frames = frames or {}
    entry = Image(name="", sha256="0" * 64, size=1, width=1, height=1)
    return [
        entry.model_copy(update={"name": str(n), "parent": str(frames.get(n, n)), "parent_box": (n * 9, 0, n * 9 + 8, 9)})
        for n in range(count)
    ]


def relation_of(vectors: np.ndarray, frames: dict[int, int] | None = None) -> Relation:
    return relate(crops(len(vectors), frames), (1 - vectors @ vectors.T) / 2, THRESHOLD)


def found(relation: Relation, labels: np.ndarray) -> np.ndarray:
    return refine(labels, relation.same, 0.9, 0.85).labels


def clustered(relation: Relation, folder: Path) -> np.ndarray:
    return found(relation, search(relation, settings_for(len(relation), 5), folder)[0].labels)


def ari(truth: np.ndarray, labels: np.ndarray) -> float:
    """Adjusted Rand index; each noise crop counts as a cluster of its own."""
    alone = np.where(labels == NOISE, len(labels) + np.arange(len(labels)), labels)
    return float(adjusted_rand_score(truth, alone))


def test_characters_are_told_apart_whatever_the_cast(tmp_path: Path) -> None:
    scores = []
    for seed in range(40, 48):
        vectors, truth = cast(seed)
        scores.append(ari(truth, clustered(relation_of(vectors), tmp_path / str(seed))))
    assert np.mean(scores) >= 0.93
    assert min(scores) >= 0.85


def test_the_agreement_picks_a_good_setting_where_a_fixed_one_fails(tmp_path: Path) -> None:
    fixed, chosen, best = [], [], []
    for seed in range(10, 16):
        vectors, truth = cast(seed, noise=1.0, main=6, look_alikes=True)
        relation = relation_of(vectors)
        tried = search(relation, settings_for(len(truth), 5), tmp_path / str(seed))
        scores = {each.setting: ari(truth, found(relation, each.labels)) for each in tried}
        fixed.append(scores[Setting(5, 5, "eom", False)])
        chosen.append(scores[tried[0].setting])
        best.append(max(scores.values()))
    assert np.mean(chosen) >= np.mean(fixed)
    assert np.mean(best) - np.mean(chosen) < 0.1


def test_one_character_alone_is_found(tmp_path: Path) -> None:
    vectors, _ = cast(3, main=1, extras=0)
    labels = clustered(relation_of(vectors), tmp_path)
    assert labels.max() == 0
    assert (labels == 0).mean() > 0.85


def test_look_alikes_seen_in_one_frame_are_told_apart(tmp_path: Path) -> None:
    vectors, truth = cast(20, noise=1.0, look_alikes=True)
    first, second = np.flatnonzero(truth == 0), np.flatnonzero(truth == 1)
    together = dict(zip(second[: len(first) // 2].tolist(), first.tolist(), strict=False))
    scores = []
    for frames in ({}, together):
        scores.append(ari(truth, clustered(relation_of(vectors, frames), tmp_path / str(len(frames)))))
    assert scores[1] > scores[0] + 0.1


def test_two_boxes_of_one_figure_are_not_held_apart() -> None:
    one = Image(name="a", sha256="0" * 64, size=1, width=9, height=9, parent="f", parent_box=(0, 0, 100, 200))
    nearly = one.model_copy(update={"name": "b", "parent_box": (0, 0, 100, 150)})
    other = one.model_copy(update={"name": "c", "parent_box": (150, 0, 250, 200)})
    relation = relate([one, nearly, other], np.zeros((3, 3)), THRESHOLD)
    assert relation.apart.tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    assert relation.same[0, 1]
    assert not relation.same[0, 2]


@pytest.mark.parametrize(("share", "joins"), [(0.9, 0), (0.8, 1)])
def test_noise_joins_where_enough_pairs_are_same(share: float, joins: int) -> None:
    labels = np.array([0, 0, 0, 0, 0, 1, 1, NOISE])
    same = labels[:, None] == labels[None, :]
    same[7, :4] = same[:4, 7] = True
    refined = refine(labels, same, share, 1.0)
    assert refined.reattached == joins
    assert refined.labels[7] == (0 if joins else NOISE)


@pytest.mark.parametrize(("share", "clusters"), [(0.85, 2), (0.75, 1)])
def test_clusters_become_one_where_enough_cross_pairs_are_same(share: float, clusters: int) -> None:
    labels = np.array([0, 0, 1, 1])
    same = np.ones((4, 4), bool)
    same[0, 2] = same[2, 0] = False
    refined = refine(labels, same, 1.0, share)
    assert len(set(refined.labels.tolist())) == clusters
    assert refined.merged == 2 - clusters


def test_numbers_go_by_size_then_by_the_first_crop() -> None:
    assert ranked(np.array([NOISE, 5, 2, 5, 2, 9, 9, 9])).tolist() == [NOISE, 1, 2, 1, 2, 0, 0, 0]


def test_the_same_crops_give_the_same_partition(tmp_path: Path) -> None:
    vectors, truth = cast(5)
    relation = relation_of(vectors)
    once, again = (search(relation, settings_for(len(truth), 5), tmp_path / name) for name in ("a", "b"))
    assert [each.setting for each in once] == [each.setting for each in again]
    assert all((a.labels == b.labels).all() for a, b in zip(once, again, strict=True))
