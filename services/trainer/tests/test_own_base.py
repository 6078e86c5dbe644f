"""A base model of the user's own trains like any other: as one file, too."""

from pathlib import Path

import pytest

from kyara.stage.v1.stage_pb2 import Action, ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Store
from kyara_inference import base_model
from kyara_inference.adding import add
from kyara_rayjobs import RunReport
from kyara_stage import StageError
from kyara_stage.operation import action_sha256
from kyara_stage.testing import run_operation
from kyara_trainer.run import train_dataset
from kyara_trainer.settings import TrainerSettings
from kyara_trainer.stage import OPERATIONS
from kyara_trainer.task import Task
from services.trainer.tests.conftest import SD15, SHALLOW
from services.trainer.tests.trainer_runs import files_of
from tests.servers.checkpoint import write_checkpoint, write_config


@pytest.mark.parametrize("which", [SHALLOW, SD15])
def test_a_checkpoint_of_one_file_trains_to_the_bytes_of_its_folder(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, which: str
) -> None:
    own = tmp_path / "models"
    write_config(models / which, own / "sd15-config")
    write_checkpoint(models / which, tmp_path / "one.safetensors")
    add("own/file", str(tmp_path / "one.safetensors"), own)
    add("own/folder", str(models / which), own)
    params.steps, params.saves = 3, 1
    saves = []
    for name in ("own/file", "own/folder"):
        task = Task(f"file://{tmp_path}/store", str(base_model(name, own)), params, dataset, threads=1)
        result = train_dataset(task, RunReport(store, f"trainer/{name}", "one"))
        saves.append([file.sha256 for file in files_of(store, result).files])
    assert saves[0] == saves[1]


def test_other_weights_under_one_name_are_another_action(tmp_path: Path, models: Path, params: TrainParams) -> None:
    own = tmp_path / "models"
    params.base_model = "own/mine"
    action = Action(stage="trainer")
    action.params.Pack(params)

    def identity() -> str:
        settings = TrainerSettings(store=f"file://{tmp_path}/store", models=own)
        return action_sha256(OPERATIONS[0].identified(action, settings.models_folder))

    add("own/mine", str(models / SHALLOW), own)
    before, place = identity(), base_model("own/mine", own)
    add("own/mine", str(models / SD15), own, replace=True)
    assert identity() != before
    assert base_model("own/mine", own) != place, "who was told the one's path never loads the other"
    add("own/mine", str(models / SHALLOW), own, replace=True)
    assert identity() == before


def test_an_own_model_that_is_not_here_is_said_with_the_folder_and_the_command(
    tmp_path: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.base_model = "own/mine"
    settings = TrainerSettings(store=f"file://{tmp_path}/store", models=tmp_path / "models")
    with pytest.raises(StageError, match=rf"{tmp_path}/models/own/mine.*kyara models add mine") as raised:
        run_operation(OPERATIONS[0], params, {"dataset": dataset}, store, settings)
    assert raised.value.code.name == "FAILED_PRECONDITION"
