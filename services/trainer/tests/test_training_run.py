"""A run, without Ray: what it leaves, that it is repeatable, and that it goes on where it was."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import FileSet, Image, ImageSet, Store, get_json, open_store
from kyara_rayjobs import RunReport, refs_of
from kyara_stage import StageError
from kyara_trainer import loading
from kyara_trainer.model import BaseModel
from kyara_trainer.run import train_dataset
from kyara_trainer.task import Task


def run(tmp_path: Path, models: Path, params: TrainParams, dataset: ArtifactRef, key: str = "trainer/a") -> dict[str, Any]:
    """One run, as Ray's worker does it."""
    url = f"file://{tmp_path}/store"
    task = Task(url, str(models / params.base_model), params, dataset, threads=1)
    return train_dataset(Task.from_json(task.to_json()), RunReport(open_store(url), key, "one"))


def saves_of(store: Store, result: dict[str, Any]) -> FileSet:
    return FileSet.load(store, refs_of(result["outputs"])["saves"])


class InterruptedRunError(Exception):
    """Stands for a process that dies."""


def test_a_run_gives_its_saves_and_its_loss_by_step(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    result = run(tmp_path, models, params, dataset)
    saves = saves_of(store, result)
    assert [(file.name, file.meta["step"]) for file in saves.files] == [
        ("kyara-000004.safetensors", 4),
        ("kyara-000008.safetensors", 8),
    ]
    log = get_json(store, refs_of(result["outputs"])["log"])
    assert len(log["loss"]) == 8
    assert all(math.isfinite(loss) for loss in log["loss"])
    assert sum(bucket["images"] for bucket in log["buckets"]) == 7
    assert result["rejected"] == []


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams
) -> None:
    first = run(tmp_path, models, params, dataset, "trainer/a")
    assert run(tmp_path, models, params, dataset, "trainer/b") == first
    params.seed += 1
    assert run(tmp_path, models, params, dataset, "trainer/c")["outputs"] != first["outputs"]


@pytest.mark.parametrize("dies_at", [2, 4, 7])
def test_a_run_that_died_goes_on_to_the_same_bytes(
    tmp_path: Path,
    models: Path,
    dataset: ArtifactRef,
    params: TrainParams,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: int,
) -> None:
    whole = run(tmp_path, models, params, dataset, "trainer/a")
    from kyara_trainer.train import Training

    step, steps_done = Training.step, []

    def step_until_death(self: Training) -> float:
        if self.state.step == dies_at:
            raise InterruptedRunError
        return step(self)

    def counted_step(self: Training) -> float:
        steps_done.append(self.state.step)
        return step(self)

    monkeypatch.setattr(Training, "step", step_until_death)
    with pytest.raises(InterruptedRunError):
        run(tmp_path, models, params, dataset, "trainer/b")
    monkeypatch.setattr(Training, "step", counted_step)
    assert run(tmp_path, models, params, dataset, "trainer/b") == whole
    assert steps_done[0] == dies_at // 3 * 3, "it began at the last checkpoint"


def test_a_save_is_read_by_diffusers_and_draws_what_the_trained_model_draws(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    params.base_model = "nai"
    trained: list[BaseModel] = []
    monkeypatch.setattr("kyara_trainer.run.load_base", lambda *a: trained.append(loading.load_base(*a)) or trained[0])
    result = run(tmp_path, models, params, dataset)
    path = tmp_path / "lora.safetensors"
    store.fetch(saves_of(store, result).files[-1].digest, path)

    base = trained[0]
    reader = _pipeline(models, params)
    plain = [_draw(reader, seed) for seed in (1, 2)]
    reader.load_lora_weights(str(path))
    trained_pipeline = _pipeline(models, params)
    trained_pipeline.unet, trained_pipeline.text_encoder = base.unet, base.text_encoders["lora_te"].model
    for part in (reader.unet, reader.text_encoder, reader.vae, trained_pipeline.vae):
        loading.align(part)
    for seed, without in zip((1, 2), plain, strict=True):
        assert np.array_equal(_draw(reader, seed), _draw(trained_pipeline, seed))
        assert not np.array_equal(_draw(reader, seed), without), "the LoRA does something"


def test_a_save_has_the_communitys_names_alphas_and_metadata(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.base_model = "nai"
    file = saves_of(store, run(tmp_path, models, params, dataset)).files[-1]
    tensors = load(store.get(file.digest))
    assert len(tensors) == 792
    assert sum(name.startswith("lora_unet_") for name in tensors) == 3 * 192
    assert sum(name.startswith("lora_te_text_model_encoder_layers_") for name in tensors) == 3 * 72
    module = "lora_unet_down_blocks_0_attentions_0"
    assert tensors[f"{module}_transformer_blocks_0_attn1_to_q.lora_down.weight"].shape == (4, 8)
    assert tensors[f"{module}_transformer_blocks_0_attn1_to_out_0.lora_up.weight"].shape == (8, 4)
    assert tensors[f"{module}_transformer_blocks_0_ff_net_0_proj.lora_down.weight"].shape == (4, 8)
    assert tensors[f"{module}_transformer_blocks_0_ff_net_2.lora_down.weight"].shape == (4, 32)
    assert tensors[f"{module}_proj_in.lora_down.weight"].shape == (4, 8, 1, 1)
    assert tensors["lora_te_text_model_encoder_layers_11_mlp_fc2.lora_down.weight"].shape == (2, 32)
    assert tensors[f"{module}_proj_in.alpha"] == 2
    assert tensors["lora_te_text_model_encoder_layers_0_self_attn_out_proj.alpha"] == 1
    path = tmp_path / "lora.safetensors"
    store.fetch(file.digest, path)
    with safe_open(path, "pt") as opened:
        header = opened.metadata()
    assert header["ss_network_module"] == "networks.lora"
    assert (header["ss_network_dim"], header["ss_network_alpha"]) == ("4", "2.0")
    assert (header["ss_steps"], header["ss_clip_skip"], header["ss_output_name"]) == ("8", "2", "kyara")
    assert header["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert len(header["sshs_model_hash"]) == 64
    assert len(header["sshs_legacy_hash"]) == 8


def test_a_picture_that_is_none_is_set_aside_and_the_run_goes_on(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    digest = store.put(b"no picture")
    bad = Image(name="bad.png", sha256=digest.sha256, size=digest.size_bytes, width=64, height=64)
    whole = ImageSet(images=(*ImageSet.load(store, dataset).images, bad)).save(store)
    result = run(tmp_path, models, params, whole)
    assert [item["item"] for item in result["rejected"]] == ["bad.png"]
    assert len(saves_of(store, result)) == 2
    alone = ImageSet(images=(bad,)).save(store)
    with pytest.raises(StageError, match="none of the 1 pictures"):
        run(tmp_path, models, params, alone, "trainer/b")


def test_latents_that_are_not_finite_are_set_aside(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_overflowing(folder: Path, device: torch.device) -> BaseModel:
        base = loading.load_base(folder, device)
        with torch.no_grad():
            base.vae.encoder.conv_in.weight.fill_(float("inf"))
        return base

    monkeypatch.setattr("kyara_trainer.run.load_base", load_overflowing)
    with pytest.raises(StageError, match="not finite"):
        run(tmp_path, models, params, dataset)


def test_a_loss_that_is_not_finite_ends_the_run_and_says_what_to_do(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.unet.learning_rate = 1e30
    params.max_gradient_norm = 0
    with pytest.raises(StageError, match="lower the learning rates"):
        run(tmp_path, models, params, dataset)


def test_bucket_steps_must_fit_the_autoencoder(tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams) -> None:
    params.bucket_step = 12
    with pytest.raises(StageError, match="multiple of 8"):
        run(tmp_path, models, params, dataset)


def test_training_on_one_picture_lowers_the_loss(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.steps, params.saves, params.batch_size = 40, 1, 1
    one = ImageSet(images=ImageSet.load(store, dataset).images[:1]).save(store)
    losses = get_json(store, refs_of(run(tmp_path, models, params, one)["outputs"])["log"])["loss"]
    assert np.mean(losses[-10:]) < 0.97 * np.mean(losses[:10])


def _pipeline(models: Path, params: TrainParams) -> Any:
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(models / params.base_model, safety_checker=None, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _draw(pipeline: Any, seed: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    return np.asarray(pipeline("kyara, tag1", num_inference_steps=3, height=64, width=64, generator=generator).images[0])
