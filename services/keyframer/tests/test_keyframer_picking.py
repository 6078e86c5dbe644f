"""Which frames are picked: every shot, several poses, nothing black or blank, sharp over blurred, at least a gap apart."""

from itertools import pairwise

import pytest

from kyara_keyframer.picking import Dropped, Event, Kept, Rules, Shot
from services.keyframer.tests.keyframer_walks import picked


def kept_of(events: list) -> list[Kept]:
    return [event for event in events if isinstance(event, Kept)]


def test_every_shot_of_at_least_0_7_s_has_a_frame_and_no_two_are_too_near(write_video, drawings) -> None:
    scene, _ = drawings
    lengths = [0.75, 2.0, 0.75, 0.75, 1.5, 3.0, 0.75, 1.0, 5.0, 0.75]
    path = write_video([(scene(seed), seconds) for seed, seconds in enumerate(lengths)])
    events = picked(path)
    kept = kept_of(events)
    begin = 0.0
    for number, seconds in enumerate(lengths):
        inside = [one for one in kept if begin <= one.frame.time_s < begin + seconds]
        assert inside, f"shot {number} at {begin} s has no frame"
        assert {one.shot for one in inside} == {number}
        begin += seconds
    assert [event.number for event in events if isinstance(event, Shot)] == list(range(len(lengths)))
    assert all(later.frame.time_s - earlier.frame.time_s >= 0.5 for earlier, later in pairwise(kept))


def test_a_still_has_one_frame_and_a_moving_figure_several(write_video, drawings) -> None:
    scene, _ = drawings
    path = write_video([(scene(1, moving=False), 3.5), (scene(2), 3.5)])
    kept = kept_of(picked(path))
    shots = [one.shot for one in kept]
    assert shots.count(0) == 1
    assert shots.count(1) >= 3


def test_black_and_blank_frames_are_dropped_with_the_reason(write_video, drawings) -> None:
    scene, plain = drawings
    path = write_video([(plain(0), 1.0), (scene(3), 1.0), (plain(200), 1.0)])
    events = picked(path)
    reasons = [event.reason.split(":")[0] for event in events if isinstance(event, Dropped)]
    assert reasons == ["black", "blank"]
    assert all(1.0 <= one.frame.time_s < 2.0 for one in kept_of(events))


def test_of_a_shot_that_comes_into_focus_a_sharp_frame_is_kept(write_video, drawings) -> None:
    scene, _ = drawings
    blurred, sharp = scene(4, moving=False, blur=4), scene(4, moving=False)
    path = write_video([(lambda time_s: blurred(0) if time_s < 0.25 else sharp(0), 1.0)])
    (first, *_) = kept_of(picked(path))
    assert first.frame.time_s >= 0.25


def test_from_the_beginning_of_any_shot_the_same_frames_follow(write_video, drawings) -> None:
    scene, plain = drawings
    lengths = [1.0, 2.5, 0.75, 1.0, 3.0]
    path = write_video([(scene(seed), seconds) for seed, seconds in enumerate(lengths)] + [(plain(0), 1.0)])
    events = picked(path)
    for place, event in enumerate(events):
        if isinstance(event, Shot):
            again = picked(path, after=event)
            assert [summary(one) for one in again] == [summary(one) for one in events[place:]]


def summary(event: Event) -> object:
    if not isinstance(event, Kept):
        return event
    return event.frame.position, event.shot, event.sharpness, event.frame.image.to_ndarray().tobytes()


@pytest.mark.parametrize("gap", [1.0, 2.0])
def test_the_gap_asked_for_is_kept(write_video, drawings, gap: float) -> None:
    scene, _ = drawings
    path = write_video([(scene(seed), 1.5) for seed in range(5)])
    kept = kept_of(picked(path, Rules(min_gap_s=gap)))
    assert len(kept) >= 2
    assert all(later.frame.time_s - earlier.frame.time_s >= gap for earlier, later in pairwise(kept))
