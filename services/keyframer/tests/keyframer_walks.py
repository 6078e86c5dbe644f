"""One walk through a video, without a stage around it."""

from pathlib import Path

from kyara_keyframer.picking import Event, Kept, Picker, Rules, Shot
from kyara_keyframer.plan import segments
from kyara_keyframer.video import Frame, Video


def frames_of(video: Video) -> list[Frame]:
    """Every frame of a video."""
    walks = (walk for segment in segments(video.index, every_frame=True) for walk in video.walk(segment))
    return [frame for _, frames in walks for frame in frames if isinstance(frame, Frame)]


def picked(path: Path, rules: Rules | None = None, every_frame: bool = True, after: Shot | None = None) -> list[Event]:
    """What happens in a video, with one picker from its beginning or from the shot `after` on."""
    video = Video(path)
    picker = Picker(rules or Rules(), after)
    walks = (walk for segment in segments(video.index, every_frame) for walk in video.walk(segment))
    return [*picker.walk(walks, after.position if after else None), *picker.finish()]


def kept_times(events: list[Event]) -> list[float]:
    """When the kept frames are shown, in seconds."""
    return [event.frame.time_s for event in events if isinstance(event, Kept)]
