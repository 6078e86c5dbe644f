"""An episode with cuts, pans, repeats, blur, black frames and credits, and the truth about it."""

from pathlib import Path

import pytest

from kyara_keyframer.picking import Kept, Rules, pick
from kyara_keyframer.video import Video
from kyara_miniature.episode import make_episode

SHORTEST_S = 0.7


@pytest.mark.parametrize("seed", [1_000_003, 1_000_011])
def test_every_scene_of_an_episode_has_a_frame_and_every_main_character_several(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "episode.mkv"
    truth = make_episode(path, seed, seconds=30, main=2, extras=1, width=480, height=270)
    times = [event.frame.time_s for event in pick(Video(path).frames(), Rules()) if isinstance(event, Kept)]
    scenes = [shot for shot in truth.shots if shot.kind == "scene" and shot.end_s - shot.start_s >= SHORTEST_S]
    assert len(scenes) >= 5
    without = [shot for shot in scenes if not any(shot.start_s <= time_s < shot.end_s for time_s in times)]
    assert not without
    assert len(times) <= 2 * 30
    shown = [figure.identity for time_s in times for figure in truth.at(time_s)]
    assert all(shown.count(identity) >= 5 for identity in truth.main)
    black = [shot for shot in truth.shots if shot.kind == "black"]
    assert not any(shot.start_s <= time_s < shot.end_s for shot in black for time_s in times)
