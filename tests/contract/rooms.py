"""Every stage server there is: what it runs, what each operation promises to give, and an example of each."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import Message

from kyara.stage.v1.stage_pb2 import Action, ArtifactRef
from kyara_artifacts import Store
from tests.servers.processes import Server, stage_server

Example = tuple[Message, dict[str, ArtifactRef]]


@dataclass(frozen=True)
class Work:
    """One operation of a room."""

    name: str
    outputs: tuple[str, ...]
    """Names of the documented outputs, as regular expressions; each is there at least once."""
    maybe: tuple[str, ...] = ()
    """Outputs that need not be there."""
    cached: bool = True
    golden: bool = False
    """Whether every machine gives the same bytes: neither a model nor floating-point sums have a part in them."""

    def action(self, store: Store) -> Action:
        """An action made of the example that the room's author wrote."""
        params, inputs = _example(self.name)(store)
        action = Action(stage=self.name, inputs=inputs)
        action.params.Pack(params)
        return action


@dataclass(frozen=True)
class Room:
    """One stage server."""

    name: str
    works: tuple[Work, ...]
    needs: tuple[str, ...] = ()
    """Servers that it calls: `inference`, `ray`; the setting of that name gets the address."""
    settings: Mapping[str, str] = field(default_factory=dict)


ROOMS = (
    Room("crawler", (Work("crawler.resolve", ("pinned",), cached=False), Work("crawler.collect", ("images",), golden=True))),
    Room(
        "fetcher",
        (Work("fetcher.resolve", ("pinned",), cached=False), Work("fetcher.fetch", (r"video_\d{3}", "videos"))),
        settings={"dht": "false", "peer_listen": "127.0.0.1:0"},
    ),
    Room("keyframer", (Work("keyframer", ("frames",), golden=True),)),
    Room("detector", (Work("detector", ("images",)),), ("inference",)),
    Room(
        "curator",
        (
            Work("curator.clean", ("crops",), golden=True),
            Work("curator.package", ("dataset", "packages", "sheet")),
            Work("curator.web", ("crops", "report"), (r"sheet_\d{2}",)),
        ),
        ("inference",),
    ),
    Room("embedder", (Work("embedder", ("vectors",)),), ("inference",)),
    Room(
        "clusterer",
        (
            Work("clusterer", ("clusters", r"character_\d{3}", r"sheet_\d{3}", "summary", "sheet"), ("noise",)),
            Work("clusterer.recognise", ("likenesses",)),
        ),
        ("inference",),
    ),
    Room("trainer", (Work("trainer", ("saves", "log", "curve"), maybe=("embeddings",)),), ("ray",), {"python": sys.executable}),
    Room(
        "evaluator",
        (
            Work("evaluator", ("previews", "scores", "sheet", "curve", "report", "best")),
            Work("evaluator.pin", ("saves",), ("embeddings",), cached=False),
        ),
        ("inference", "ray"),
        {"python": sys.executable},
    ),
    Room("publisher", tuple(Work(f"publisher.{kind}", ("receipt",)) for kind in ("dataset", "character", "lora"))),
)


def room(name: str) -> Room:
    """The room of that name."""
    return next(each for each in ROOMS if each.name == name)


@contextmanager
def serving(room: Room, store: str, folder: Path, addresses: Mapping[str, str]) -> Iterator[Server]:
    """The room's real server over `store`; `addresses` holds those of what it needs."""
    settings = {**room.settings, **{name: addresses[name] for name in room.needs}}
    with stage_server(["-m", f"kyara_{room.name}"], room.name, store, folder, settings) as server:
        yield server


def _example(work: str) -> Callable[[Store], Example]:
    """The function that makes the example: `example`, or the one in `EXAMPLES`, in `example_{room}[_{operation}].py`."""
    room_name, _, operation = work.partition(".")
    folder = f"services.{room_name}.tests"
    try:
        module = importlib.import_module(f"{folder}.example_{room_name}")
    except ModuleNotFoundError:
        module = importlib.import_module(f"{folder}.example_{room_name}_{operation}")
    return module.EXAMPLES[work] if hasattr(module, "EXAMPLES") else module.example
