"""LoRA files from anywhere become saves: by their own steps, in one naming, and nothing in them is run."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from kyara.evaluator.v1.evaluator_pb2 import PinParams
from kyara_artifacts import FileSet, Store
from kyara_evaluator.settings import EvaluatorSettings
from kyara_evaluator.stage import OPERATIONS
from kyara_lora import COMMUNITY, LoraFile, format_of, read, write
from kyara_stage import StageError
from kyara_stage.testing import run_operation

PIN = OPERATIONS[1]


def lora(path: Path, *, steps: str = "", diffusers: bool = False) -> Path:
    """A LoRA of one module, in either naming."""
    down, up = np.full((2, 8), 0.5, np.float32), np.full((8, 2), 0.25, np.float32)
    if diffusers:
        module = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
        tensors = {f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up}
    else:
        module = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
        tensors = {
            f"{module}.lora_down.weight": down,
            f"{module}.lora_up.weight": up,
            f"{module}.alpha": np.float32(2).reshape(()),
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write(LoraFile(tensors, {"ss_steps": steps} if steps else {})))
    return path


def pinned(store: Store, tmp_path: Path, path: Path) -> tuple[list[tuple[int, str]], list[int], list[str]]:
    """(step and name of each save, steps of the words, what was set aside)."""
    settings = EvaluatorSettings(store=f"file://{tmp_path}/store", inference="127.0.0.1:1")
    outputs, rejected = run_operation(PIN, PinParams(path=str(path)), {}, store, settings)
    saves = FileSet.load(store, outputs["saves"]).files
    words = FileSet.load(store, outputs["embeddings"]).files if "embeddings" in outputs else ()
    return (
        [(file.meta["step"], file.name) for file in saves],
        [file.meta["step"] for file in words],
        [each["item"] for each in rejected],
    )


def test_saves_of_one_training_stand_in_the_order_of_their_steps(store: Store, tmp_path: Path) -> None:
    lora(tmp_path / "run" / "a" / "late.safetensors", steps="900")
    lora(tmp_path / "run" / "early.safetensors", steps="80")
    (tmp_path / "run" / "early.embedding.safetensors").write_bytes(b"words")
    (tmp_path / "run" / "notes.txt").write_text("no LoRA")
    saves, words, rejected = pinned(store, tmp_path, tmp_path / "run")
    assert saves == [(80, "early.safetensors"), (900, "late.safetensors")]
    assert (words, rejected) == ([80], [])


def test_files_that_do_not_say_their_steps_are_numbered(store: Store, tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        lora(tmp_path / "run" / f"{name}.safetensors", steps="7" if name == "c" else "")
    assert pinned(store, tmp_path, tmp_path / "run")[0] == [(1, "a.safetensors"), (2, "b.safetensors"), (3, "c.safetensors")]


def test_a_lora_in_diffusers_names_becomes_one_in_the_communitys(store: Store, tmp_path: Path) -> None:
    path = lora(tmp_path / "other.safetensors", diffusers=True)
    outputs, _ = run_operation(
        PIN, PinParams(path=str(path)), {}, store, EvaluatorSettings(store=f"file://{tmp_path}/store", inference="127.0.0.1:1")
    )
    (tmp_path / "back.safetensors").write_bytes(store.get(FileSet.load(store, outputs["saves"]).files[0].digest))
    assert format_of(read(tmp_path / "back.safetensors")) == COMMUNITY


def test_what_is_no_lora_is_set_aside_in_a_folder_and_refused_by_itself(store: Store, tmp_path: Path) -> None:
    lora(tmp_path / "run" / "good.safetensors")
    bad = tmp_path / "run" / "bad.safetensors"
    bad.write_bytes(pickle.dumps({"weight": 1}))
    saves, _, rejected = pinned(store, tmp_path, tmp_path / "run")
    assert ([name for _, name in saves], rejected) == (["good.safetensors"], ["bad.safetensors"])
    with pytest.raises(StageError, match="pickle"):
        pinned(store, tmp_path, bad)


@pytest.mark.parametrize(("name", "said"), [("nowhere", "no file or folder"), ("empty", r"no \.safetensors file")])
def test_a_path_with_nothing_to_look_at_is_said(store: Store, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StageError, match=said):
        pinned(store, tmp_path, tmp_path / name)
