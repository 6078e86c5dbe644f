"""Near-duplicates against the episode's true repeats: one figure in one drawing, in a shot or when the shot comes again."""

from collections import Counter
from collections.abc import Hashable, Mapping

from kyara_artifacts import get_json
from kyara_cli.demo.results import figure_at
from kyara_miniature.episode import BEAT, DRAWINGS_PER_S, EpisodeTruth
from tests.accuracy.season import Rooms, Seen

_SAID = "nearly the same as "


def duplicate_f1(rooms: Rooms, seen: Seen) -> float:
    """F1 over the pairs of crops that are the same drawing, of all crops that came as far as that step."""
    given = {crop.name: crop.name for crop in seen.crops}
    for row in get_json(rooms.store, seen.rejected):
        if row["reason"].startswith(_SAID):
            given[row["item"]] = row["reason"].removeprefix(_SAID)
    drawings = _drawings(seen)
    known = {name: original for name, original in given.items() if name in drawings}
    wanted = _pairs({name: drawings[name] for name in known})
    found = _pairs(known)
    right = _pairs({name: (original, drawings[name]) for name, original in known.items()})
    return round(2 * right / max(wanted + found, 1), 4)


def _pairs(groups: Mapping[str, Hashable]) -> int:
    return sum(count * (count - 1) // 2 for count in Counter(groups.values()).values())


def _drawings(seen: Seen) -> dict[str, Hashable]:
    """What drawing each person of each frame is, by the name that its crop has or would have."""
    found: dict[str, Hashable] = {}
    for frame in seen.figures:
        stem = frame.name.rsplit(".", 1)[0]
        persons = [box for box in frame.boxes if box.kind == "person"]
        for number, box in enumerate(persons):
            figure = figure_at((box.x0, box.y0, box.x1, box.y1), frame.time_s or 0.0, seen.truth)
            if figure:
                found[f"{stem}_p{number}.png"] = (figure.identity, *_beat(frame.time_s or 0.0, seen.truth))
    return found


def _beat(time_s: float, truth: EpisodeTruth) -> tuple[int, int]:
    """Shot (the first one, when it comes again) and number of the pose in it."""
    number = next(place for place, shot in reversed(list(enumerate(truth.shots))) if shot.start_s <= time_s + 0.001)
    repeats = truth.shots[number].repeats
    return (number if repeats is None else repeats), int((time_s - truth.shots[number].start_s) * DRAWINGS_PER_S + 0.01) // BEAT
