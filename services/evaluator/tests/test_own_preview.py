"""Previews are drawn with a base model of the user's own as with any other: as one file, too."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from kyara_artifacts import FileSet, Store
from kyara_evaluator.drawing import Previewer
from kyara_evaluator.settings import EvaluatorSettings
from kyara_evaluator.stage import OPERATIONS
from kyara_inference import base_model
from kyara_inference.adding import add
from kyara_stage import StageError
from kyara_stage.testing import run_operation
from services.evaluator.tests.conftest import BASE
from services.evaluator.tests.example_evaluator import example
from services.evaluator.tests.test_drawing import REQUEST
from tests.servers.base_model import write_xl_base_model
from tests.servers.checkpoint import write_checkpoint, write_config


def test_a_checkpoint_of_one_file_draws_the_pictures_of_its_folder(
    tmp_path: Path, models: Path, store: Store, saves: FileSet
) -> None:
    own, lora = tmp_path / "models", tmp_path / "lora.safetensors"
    write_config(models / BASE, own / "sd15-config")
    write_checkpoint(models / BASE, tmp_path / "one.safetensors")
    add("own/file", str(tmp_path / "one.safetensors"), own)
    add("own/folder", str(models / BASE), own)
    store.fetch(saves.files[1].digest, lora)
    folders = [models / BASE, base_model("own/folder", own), base_model("own/file", own)]
    drawn = [[each.pixels for each in Previewer(folder, threads=1).draw(REQUEST, lora)] for folder in folders]
    assert np.array_equal(drawn[1], drawn[0])
    assert np.array_equal(drawn[2], drawn[0])


def test_a_folder_draws_without_the_parts_that_its_index_names_and_nobody_needs(tmp_path: Path, models: Path) -> None:
    folder = write_config(models / BASE, tmp_path / "published")
    for part in ("unet", "vae", "text_encoder"):
        shutil.copytree(models / BASE / part, folder / part, dirs_exist_ok=True)
    (picture, *_), (expected, *_) = (Previewer(each, threads=1).draw(REQUEST, None) for each in (folder, models / BASE))
    assert np.array_equal(picture.pixels, expected.pixels)


def test_what_previews_cannot_be_drawn_with_is_said(tmp_path: Path, store: Store) -> None:
    params, inputs = example(store)
    own = tmp_path / "models"
    settings = EvaluatorSettings(store=f"file://{tmp_path}/store", inference="127.0.0.1:9", models=own)
    params.preview_model = "own/xl"
    with pytest.raises(StageError, match=rf"own/xl is not in {own}/own/xl.*kyara models add xl SOURCE"):
        run_operation(OPERATIONS[0], params, inputs, store, settings)
    write_xl_base_model(tmp_path / "xl")
    add("own/xl", str(tmp_path / "xl"), own)
    with pytest.raises(
        StageError, match="own/xl is a StableDiffusionXLPipeline; previews are drawn with a StableDiffusionPipeline"
    ):
        run_operation(OPERATIONS[0], params, inputs, store, settings)
