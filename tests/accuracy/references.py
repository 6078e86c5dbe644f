"""References: do indexes get the names of the characters that somebody has pictures of, and nobody else's?"""

from collections import Counter
from pathlib import Path

from kyara.clusterer.v1.clusterer_pb2 import RecogniseParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Image, ImageSet, get_json, put_picture, read_picture
from kyara_clusterer import stage as clusterer
from kyara_clusterer.settings import ClustererSettings
from kyara_curator import stage as curator
from kyara_curator.settings import CuratorSettings
from kyara_detector import stage as detector
from kyara_detector.settings import DetectorSettings
from kyara_embedder import stage as embedder
from kyara_embedder.settings import EmbedderSettings
from kyara_jobs import params
from kyara_miniature.cast import Character
from kyara_miniature.pictures import draw_pictures
from tests.accuracy.season import Rooms, Seen

PICTURES = 8
"""Pictures of each known character: what a person finds in a minute."""


def recognition(rooms: Rooms, seen: Seen, identities: dict[str, str], cast: tuple[Character, ...]) -> dict[str, float]:
    """Every second main character is known. `identities` holds the true one of each crop, by name.

    `named_right` is the share of the known characters' indexes that got their name; `named_wrong` counts indexes that got
    another's name. Who is left to a person is neither.
    """
    known = {one.identity: _vectors(rooms, one, seen.seed) for one in cast[::2]}
    given = {f"reference_{number:03}": vectors for number, vectors in enumerate(known.values())}
    wanted = RecogniseParams(model=rooms.recipe.clustering.model, names=list(known))
    clusters = seen.clusters.save(rooms.store)
    found = rooms.run(clusterer.OPERATIONS[1], ClustererSettings, wanted, clusters=clusters, vectors=seen.vectors, **given)
    truth = {index: _most(identities, seen.clusters, index) for index in {crop.index for crop in seen.clusters}}
    rows = get_json(rooms.store, found["likenesses"])
    wanted_names = [row for row in rows if truth[row["index"]] in known]
    right = sum(row["certain"] and row["name"] == truth[row["index"]] for row in rows)
    wrong = sum(row["certain"] and row["name"] != truth[row["index"]] for row in rows)
    return {"named_right": round(right / max(1, len(wanted_names)), 4), "named_wrong": wrong}


def _vectors(rooms: Rooms, character: Character, seed: int) -> ArtifactRef:
    """A folder of pictures of a character to vectors, as a job does it."""
    folder = rooms.folder / "references" / f"{seed}-{character.identity}"
    if not folder.exists():
        draw_pictures(folder, character, seed, count=PICTURES)
    pictures = ImageSet(images=tuple(_kept(rooms, path) for path in sorted(folder.glob("*.png")))).save(rooms.store)
    figures = rooms.run(detector.OPERATIONS[0], DetectorSettings, params.detect(rooms.recipe), images=pictures)["images"]
    crops = rooms.run(curator.OPERATIONS[0], CuratorSettings, params.clean(rooms.recipe), frames_000=figures)["crops"]
    return rooms.run(embedder.OPERATIONS[0], EmbedderSettings, params.embed(rooms.recipe), images=crops)["vectors"]


def _kept(rooms: Rooms, path: Path) -> Image:
    digest, width, height = put_picture(rooms.store, read_picture(path.read_bytes()))
    return Image(name=path.name, sha256=digest.sha256, size=digest.size_bytes, width=width, height=height, source=path.name)


def _most(identities: dict[str, str], clusters: ImageSet, index: int | None) -> str:
    """Whom most crops of an index show."""
    members = Counter(identities.get(crop.name, "") for crop in clusters if crop.index == index)
    return members.most_common(1)[0][0]
