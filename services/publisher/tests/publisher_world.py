"""A small character's worth of artifacts to publish."""

import numpy as np

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Box, File, FileSet, Image, ImageSet, Store, contact_sheet, put_json, put_picture, ref

PROMPT = {"name": "plain", "text": "hana, blue hair", "negative": "blurry", "seed": 7}


def picture(store: Store, name: str, level: int, **known: object) -> Image:
    """A grey picture of its own."""
    digest, width, height = put_picture(store, np.full((24, 16, 3), level, np.uint8))
    return Image(name=name, sha256=digest.sha256, size=digest.size_bytes, width=width, height=height, **known)  # type: ignore[arg-type]


def sheet(store: Store) -> ArtifactRef:
    """A contact sheet without pictures."""
    return ref("sheet", store.put(contact_sheet([])), "image/png")


def clusters(store: Store) -> dict[str, ArtifactRef]:
    """Inputs of `publisher.dataset`: two characters and a crop of noise."""
    images = [picture(store, f"e/{number}.png", 10 * number, index=number % 2) for number in range(6)]
    images.append(picture(store, "../../evil.png", 90, index=-1))
    return {"clusters": ImageSet(images=tuple(images)).save(store), "sheet": sheet(store)}


def season(store: Store, indexes: int, each: int) -> dict[str, ArtifactRef]:
    """Inputs of `publisher.dataset`: so many indexes of so many crops each, and as many of noise."""
    images = [crop(store, index, number) for index in (*range(indexes), -1) for number in range(each)]
    return {"clusters": ImageSet(images=tuple(images)).save(store), "sheet": sheet(store)}


def crop(store: Store, index: int, number: int) -> Image:
    """A crop as the clusterer gives it."""
    known = {"source": "e01.mkv", "time_s": 1.5 * number, "shot": number, "scores": {"quality": 0.5}}
    face = Box(kind="face", x0=1, y0=2, x1=9, y1=8, score=0.9)
    worn = {} if index < 0 else {"outfit": number % 2}
    name = f"e01/Show.S01.1080p_{index}_{number}.png"
    return picture(store, name, (100 * index + number) % 256, index=index, boxes=(face,), **known, **worn)


def file(store: Store, name: str, data: bytes, **meta: object) -> File:
    """A file in the store."""
    digest = store.put(data)
    return File(name=name, sha256=digest.sha256, size=digest.size_bytes, meta=meta)


def lora(store: Store) -> dict[str, ArtifactRef]:
    """Inputs of `publisher.lora`: two saves, of which the first is the best."""
    saves = FileSet(files=tuple(file(store, f"hana-{step}.safetensors", b"lora%d" % step, step=step) for step in (12, 24)))
    previews = ImageSet(
        images=tuple(picture(store, f"{step}.png", step, step=step, prompt="plain", seed=7) for step in (0, 12, 24))
    )
    scores = {
        "prompts": [PROMPT],
        "base": {"recscore": 0.1, "mean_difference": 0.4},
        "steps": [
            {"step": 12, "recscore": 0.8, "mean_difference": 0.1, "per_prompt": {"plain": 0.8}, "corrupt": 0},
            {"step": 24, "recscore": 0.7, "mean_difference": 0.2, "per_prompt": {"plain": 0.7}, "corrupt": 0},
        ],
        "best_step": 12,
        "rule": "highest RecScore",
        "threshold": 0.18,
        "images": 1,
    }
    dataset = ImageSet(images=(picture(store, "a.png", 3, caption="hana"),), meta={"core_tags": ["blue_hair"]})
    return {
        "saves": saves.save(store),
        "previews": previews.save(store),
        "scores": put_json(store, "scores", scores),
        "sheet": sheet(store),
        "curve": sheet(store),
        "report": ref("report", store.put(b"<!doctype html>"), "text/html"),
        "dataset": dataset.save(store),
    }


def character(store: Store) -> dict[str, ArtifactRef]:
    """Inputs of `publisher.character`: three captioned pictures and their packages."""
    pictures = [picture(store, f"hana/{n}.png", 10 * n, caption=f"hana, smile {n}", tags={"smile": 0.9}) for n in range(3)]
    packages = (
        file(store, "dataset-raw.zip", b"zip"),
        file(store, "sample_1.png", store.get(pictures[0].digest)),
        file(store, "meta.json", b"{}"),
        file(store, "README.md", b"# hana\n"),
    )
    return {"packages": FileSet(files=packages).save(store), "dataset": ImageSet(images=tuple(pictures)).save(store)}
