"""`curator.package`: input `crops` (one character), outputs `dataset`, `packages`, `sheet`."""

from collections.abc import Sequence
from typing import Any

from kyara.curator.v1.curator_pb2 import PackageParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import File, FileSet, Image, ImageSet, canonical_json, contact_sheet, read_picture, ref, side_by_side
from kyara_curator.crops import CROP_KINDS, Context
from kyara_curator.dataset import make_dataset
from kyara_curator.packages import Form, write_zip
from kyara_curator.readme import readme, samples
from kyara_inference import Inference
from kyara_inference.staging import stage_errors
from kyara_stage import Inputs, Outputs, StageError

_SHOWN = 40


async def run(ctx: Context, params: PackageParams, inputs: Inputs) -> Outputs:
    """Make a captioned dataset of a character's pictures, and the packages that a recipe asks for."""
    forms = _forms(params)
    pictures = ImageSet.load(ctx.store, inputs["crops"]).images
    _enough(len(pictures), len(pictures), params)
    with stage_errors(), Inference(ctx.settings.inference, ctx.settings.models) as inference:
        dataset = make_dataset(ctx, params, pictures, inference)
    _enough(dataset.meta["counts"]["pictures"], len(pictures), params)
    return {
        "dataset": _in_form(ctx, dataset, params).save(ctx.store),
        "packages": _packages(ctx, dataset, forms),
        "sheet": _sheet(ctx, dataset.images),
    }


def _forms(params: PackageParams) -> list[Form]:
    """The packages asked for. Raises StageError for params that make no sense."""
    if not params.trigger:
        raise StageError.invalid("curator.package: trigger is empty; give the word that prompts call the character by")
    if params.dataset and params.dataset not in params.packages:
        raise StageError.invalid(f"curator.package: dataset {params.dataset!r} is none of packages: {', '.join(params.packages)}")
    if unknown := [kind for kind in params.crop_kinds if kind not in CROP_KINDS]:
        raise StageError.invalid(f"curator.package: crop_kinds has {unknown[0]!r}; there are {', '.join(CROP_KINDS)}")
    try:
        return [Form.parse(name) for name in params.packages]
    except ValueError as error:
        raise StageError.invalid(f"curator.package: {error}") from error


def _enough(pictures: int, given: int, params: PackageParams) -> None:
    wanted = max(1, params.min_images)
    if pictures < wanted:
        raise StageError.precondition(
            f"{params.trigger}: {pictures} of {given} pictures can be used, at least {wanted} are wanted; "
            "give more pictures of the character, or lower packaging.min_images in the recipe"
        )


def _in_form(ctx: Context, dataset: ImageSet, params: PackageParams) -> ImageSet:
    """The dataset with the pictures of the package that is trained on, in its size."""
    if not params.dataset:
        return dataset
    form = Form.parse(params.dataset)
    images = [_sized(ctx, form, image) for image in dataset.images if form.takes(image)]
    _enough(len(images), len(dataset), params)
    return ImageSet(images=tuple(images), meta={**dataset.meta, "package": form.name})


def _sized(ctx: Context, form: Form, image: Image) -> Image:
    width, height = form.size_of(image)
    if (width, height) == (image.width, image.height):
        return image
    digest = ctx.store.put(form.sized(image, ctx.store.get(image.digest)))
    # Boxes are where they were before.
    fitted = {"sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height, "boxes": ()}
    return image.model_copy(update=fitted)


def _packages(ctx: Context, dataset: ImageSet, forms: Sequence[Form]) -> ArtifactRef:
    files = []
    for form in ctx.track(forms, "writing packages", "packages"):
        name = f"dataset-{form.name}.zip"
        count = write_zip(ctx.scratch / name, form, dataset.images, lambda image: ctx.store.get(image.digest))
        digest = ctx.store.put(ctx.scratch / name)
        files.append(
            File(name=name, sha256=digest.sha256, size=digest.size_bytes, media_type="application/zip", meta={"images": count})
        )
    described: dict[str, Any] = {
        "name": dataset.meta["trigger"],
        **{key: dataset.meta[key] for key in ("core_tags", "counts", "scale")},
        "packages": {file.name: {"images": file.meta["images"], "size": file.size} for file in files},
    }
    shown = samples(dataset.images)
    page = ctx.store.put(readme(dataset.meta, files, shown))
    digest = ctx.store.put(canonical_json(described))
    files += [
        *shown,
        File(name="README.md", sha256=page.sha256, size=page.size_bytes, media_type="text/markdown"),
        File(name="meta.json", sha256=digest.sha256, size=digest.size_bytes, media_type="application/json"),
    ]
    return FileSet(files=tuple(files), meta={"name": dataset.meta["trigger"]}).save(ctx.store)


def _sheet(ctx: Context, images: Sequence[Image]) -> ArtifactRef:
    """Pictures from all over the dataset, to look at."""
    shown = [images[place * len(images) // _SHOWN] for place in range(_SHOWN)] if len(images) > _SHOWN else list(images)
    pictures = list(side_by_side(lambda image: read_picture(ctx.store.get(image.digest)), shown))
    sheet = contact_sheet(pictures, [image.crop for image in shown], columns=8, cell=128)
    return ref("sheet", ctx.store.put(sheet), "image/png")
