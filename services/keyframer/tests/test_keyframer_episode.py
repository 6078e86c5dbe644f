"""An episode with cuts, pans, repeats, blur, black frames, a title and credits, and the truth about it."""

from pathlib import Path

import pytest

from kyara_keyframer.picking import Dropped
from kyara_miniature.episode import EpisodeTruth, make_episode
from services.keyframer.tests.keyframer_walks import kept_times, picked

SHORTEST_S = 0.7


@pytest.fixture(scope="module", params=[1_000_003, 1_000_011])
def episode(request, tmp_path_factory) -> tuple[Path, EpisodeTruth]:
    path = tmp_path_factory.mktemp("episode") / "episode.mkv"
    return path, make_episode(path, request.param, seconds=30, main=2, extras=1, width=480, height=270)


@pytest.mark.parametrize("every_frame", [False, True], ids=["key frames", "every frame"])
def test_every_scene_has_a_frame_and_nothing_else_has_one(episode: tuple[Path, EpisodeTruth], every_frame: bool) -> None:
    path, truth = episode
    events = picked(path, every_frame=every_frame)
    times = kept_times(events)
    scenes = [shot for shot in truth.shots if shot.kind == "scene"]
    long = [shot for shot in scenes if shot.end_s - shot.start_s >= SHORTEST_S]
    assert len(long) >= 5
    assert not [shot for shot in long if not any(shot.start_s <= time_s < shot.end_s for time_s in times)]
    assert not [time_s for time_s in times if not any(shot.start_s <= time_s < shot.end_s for shot in scenes)]
    assert len(times) <= 2 * 30
    dropped = [event for event in events if isinstance(event, Dropped)]
    # Not one frame of a scene is called credits, and those of the title and the credits are.
    cards = {
        shot.kind for shot in truth.shots for one in dropped if one.kind == "credits" and shot.start_s <= one.time_s < shot.end_s
    }
    assert cards == {"title", "credits"}


def test_of_every_frame_each_main_character_has_several_poses(episode: tuple[Path, EpisodeTruth]) -> None:
    path, truth = episode
    shown = [figure.identity for time_s in kept_times(picked(path)) for figure in truth.at(time_s)]
    assert all(shown.count(identity) >= 5 for identity in truth.main)
