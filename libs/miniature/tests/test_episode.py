"""Episodes: real H.264 that decodes, the same bytes for the same seed, and truth for every moment of it."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from kyara_miniature.episode import DRAWINGS_PER_S, EpisodeTruth, make_episode
from kyara_miniature.script import write_script

WIDTH, HEIGHT, SECONDS = 256, 144, 50


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("episode") / "e01.mkv"
    make_episode(path, 5, seconds=SECONDS, main=2, width=WIDTH, height=HEIGHT)
    return path


@pytest.fixture(scope="module")
def truth(episode: Path) -> EpisodeTruth:
    return EpisodeTruth.load(episode.with_suffix(".truth.json"))


@pytest.fixture(scope="module")
def frames(episode: Path) -> list[np.ndarray]:
    with av.open(str(episode)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("a.mkv", "b.mkv"):
        truth = make_episode(tmp_path / name, 9, seconds=8, main=2, width=160, height=96)
        written.append(((tmp_path / name).read_bytes(), (tmp_path / name).with_suffix(".truth.json").read_bytes()))
        assert EpisodeTruth.load((tmp_path / name).with_suffix(".truth.json")) == truth
    assert written[0] == written[1]


def test_it_is_h264_in_matroska_at_24_frames_a_second(episode: Path, frames: list[np.ndarray], truth: EpisodeTruth) -> None:
    with av.open(str(episode)) as file:
        stream = file.streams.video[0]
        assert "matroska" in file.format.name
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 2 * DRAWINGS_PER_S
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    assert len(frames) == 2 * len(truth.drawings)


def test_the_shots_cover_the_episode_without_a_gap(truth: EpisodeTruth) -> None:
    assert truth.shots[0].start_s == 0
    assert all(first.end_s == second.start_s for first, second in pairwise(truth.shots))
    assert all(shot.end_s > shot.start_s for shot in truth.shots)
    assert truth.shots[-1].end_s == pytest.approx(len(truth.drawings) / DRAWINGS_PER_S)
    assert truth.shots[-1].end_s == pytest.approx(SECONDS, abs=1.0)


def test_every_drawing_belongs_to_the_shot_that_is_on(truth: EpisodeTruth) -> None:
    for drawing in truth.drawings:
        shot = truth.shots[drawing.shot]
        assert shot.start_s - 1e-9 <= drawing.start_s < shot.end_s


def test_it_opens_with_a_title_ends_with_credits_and_is_black_between_scenes(
    truth: EpisodeTruth, frames: list[np.ndarray]
) -> None:
    kinds = [shot.kind for shot in truth.shots]
    assert (kinds[0], kinds[-1]) == ("title", "credits")
    black = next(shot for shot in truth.shots if shot.kind == "black")
    middle = frames[int((black.start_s + black.end_s) / 2 * 2 * DRAWINGS_PER_S)]
    assert middle.mean() < 4
    assert all(not truth.at(shot.start_s) for shot in truth.shots if shot.kind != "scene")


def test_a_shot_that_comes_twice_looks_the_same_twice(truth: EpisodeTruth, frames: list[np.ndarray]) -> None:
    again = next(shot for shot in truth.shots if shot.repeats is not None)
    assert again.repeats is not None
    first = truth.shots[again.repeats]
    for offset in (0.1, 0.4):
        one, two = (frames[int((shot.start_s + offset) * 2 * DRAWINGS_PER_S)].astype(int) for shot in (first, again))
        assert np.abs(one - two).mean() < 3


def test_boxes_lie_in_the_frame_and_only_the_cast_is_seen(truth: EpisodeTruth) -> None:
    script = write_script(5, SECONDS, 2, 1, False)
    names = {each.identity for each in (*script.main, *script.extras)}
    assert truth.main == tuple(each.identity for each in script.main)
    for drawing in truth.drawings:
        for figure in drawing.figures:
            assert figure.identity in names
            for box in figure.boxes:
                assert 0 <= box.x0 < box.x1 <= WIDTH
                assert 0 <= box.y0 < box.y1 <= HEIGHT


def test_the_truth_lies_where_the_figure_is(truth: EpisodeTruth, frames: list[np.ndarray]) -> None:
    """A figure's face is of its skin: brighter in red than in blue, and unlike the place behind it."""
    seen = 0
    for index, drawing in enumerate(truth.drawings):
        for figure in drawing.figures:
            face = next((box for box in figure.boxes if box.kind == "face"), None)
            if face is None or len(drawing.figures) > 1 or face.x1 - face.x0 < 30 or index % 6:
                continue
            low = frames[2 * index][int(face.y0 * 0.3 + face.y1 * 0.7) : int(face.y1), int(face.x0) + 6 : int(face.x1) - 6]
            red, _, blue = np.median(low.reshape(-1, 3), axis=0)
            assert red > blue
            seen += 1
    assert seen >= 5


def test_a_full_episode_has_enough_of_every_main_character_near_and_far() -> None:
    for seed in range(3):
        script = write_script(seed, 90, 3, 1, False)
        shots = [shot for shot in script.shots if shot.kind == "scene"]
        stances: Counter[str] = Counter()
        outfits: dict[str, set[int]] = {}
        for shot in shots:
            for actor in shot.actors:
                outfits.setdefault(actor.character.identity, set()).add(actor.outfit)
                if actor.size >= 0.5:
                    stances[actor.character.identity] += 1 + int(shot.seconds * DRAWINGS_PER_S) // 9
        assert all(stances[each.identity] >= 25 for each in script.main)
        assert all(len(outfits[each.identity]) >= 2 for each in script.main)
        heights = [actor.size * 720 for shot in shots for actor in shot.actors]
        assert min(heights) < 64
        assert any(64 <= height < 200 for height in heights)
        assert {2, 3} <= {len(shot.actors) for shot in shots}
        assert any(shot.pan for shot in shots)
        assert any(shot.blur for shot in shots)
        assert any(shot.repeats is not None for shot in shots)
        assert sum(shot.seconds for shot in script.shots) == pytest.approx(90, abs=1)


def test_a_look_alike_joins_the_cast_when_asked() -> None:
    script = write_script(4, 20, 3, 0, True)
    first, last = script.main[0], script.main[-1]
    assert first.identity != last.identity
    assert (first.hair_color, first.hair_style) == (last.hair_color, last.hair_style)
    assert len({each.hair_name for each in write_script(4, 20, 3, 0, False).main}) == 3
