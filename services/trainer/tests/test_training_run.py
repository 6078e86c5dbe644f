"""A run, without Ray: what it leaves, that it is repeatable, and how it fails."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import json_format
from safetensors import safe_open
from safetensors.torch import load

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import FileSet, Image, ImageSet, Store
from kyara_rayjobs import RunReport
from kyara_stage import StageError
from kyara_trainer import loading
from kyara_trainer.draws import Batch, Draws
from kyara_trainer.model import BaseModel
from kyara_trainer.sd15 import StableDiffusion15
from services.trainer.tests.trainer_runs import files_of, log_of, run


def test_a_run_gives_its_saves_and_its_loss_by_step(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    result = run(tmp_path, models, params, dataset)
    saves = files_of(store, result)
    assert [(file.name, file.meta["step"]) for file in saves.files] == [
        ("kyara-000004.safetensors", 4),
        ("kyara-000008.safetensors", 8),
    ]
    log = log_of(store, result)
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


@pytest.mark.parametrize("adapter", ["lora", "locon"])
def test_a_save_is_read_by_diffusers_and_draws_what_the_trained_model_draws(
    tmp_path: Path,
    models: Path,
    store: Store,
    dataset: ArtifactRef,
    params: TrainParams,
    monkeypatch: pytest.MonkeyPatch,
    adapter: str,
) -> None:
    params.base_model, params.adapter = "nai", adapter
    if adapter == "locon":
        params.unet.conv_rank, params.unet.conv_alpha = 3, 1
    trained: list[BaseModel] = []
    monkeypatch.setattr("kyara_trainer.run.load_base", lambda *a: trained.append(loading.load_base(*a)) or trained[0])
    result = run(tmp_path, models, params, dataset)
    path = tmp_path / "lora.safetensors"
    store.fetch(files_of(store, result).files[-1].digest, path)

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
    file = files_of(store, run(tmp_path, models, params, dataset)).files[-1]
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
    assert len(files_of(store, result)) == 2
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


def test_a_loss_that_is_not_finite_ends_the_run_at_once_and_keeps_what_was_good(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, steps = Draws.batch, []

    def broken_after_the_first_save(self: Draws, step: int) -> Batch:
        steps.append(step)
        drawn = batch(self, step)
        return replace(drawn, noise=drawn.noise * float("nan")) if step == 5 else drawn

    monkeypatch.setattr(Draws, "batch", broken_after_the_first_save)
    with pytest.raises(StageError, match=r"nan at step 6, on \d\.png.*lower the learning rates") as caught:
        run(tmp_path, models, params, dataset)
    assert steps[-1] == 5
    found = re.search(r"last good save, of step 4, is blob ([0-9a-f]{64}) \(all: file set ([0-9a-f]{64})\)", str(caught.value))
    assert found is not None
    record = store.get_record("trainer/a/left")
    assert record is not None
    assert json.loads(record)["digest"]["sha256"] == found[2]
    kept = FileSet.load(store, json_format.Parse(record, ArtifactRef())).files
    assert [(file.meta["step"], file.sha256) for file in kept] == [(4, found[1])]
    assert load(store.get(kept[0].digest))


def test_a_learning_rate_without_bounds_ends_the_run_too(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.unet.learning_rate = 1e30
    params.max_gradient_norm = 0
    with pytest.raises(StageError, match="lower the learning rates"):
        run(tmp_path, models, params, dataset)


def test_a_run_out_of_memory_goes_on_in_smaller_passes_and_says_so(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    params.buckets, params.batch_size = 1, 4
    plenty = run(tmp_path, models, params, dataset, "trainer/a")
    predict, phases, most = StableDiffusion15.predict, [], [1]

    def predict_in_little_memory(self: StableDiffusion15, noisy: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(noisy) > most[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predict(self, noisy, *rest)

    progress = RunReport.progress
    monkeypatch.setattr(
        RunReport, "progress", lambda self, phase, *a, **k: phases.append(phase) or progress(self, phase, *a, **k)
    )
    monkeypatch.setattr(StableDiffusion15, "predict", predict_in_little_memory)
    little = run(tmp_path, models, params, dataset, "trainer/b")
    assert phases[-1] == "training in passes of 1: memory holds no more"
    log = log_of(store, little)
    assert log["pass_size"] == 1
    assert np.allclose(log["loss"], log_of(store, plenty)["loss"], atol=1e-5)
    most[0] = 0
    with pytest.raises(StageError, match="not even one picture"):
        run(tmp_path, models, params, dataset, "trainer/c")


def test_bucket_steps_must_fit_the_autoencoder(tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams) -> None:
    params.bucket_step = 12
    with pytest.raises(StageError, match="multiple of 8"):
        run(tmp_path, models, params, dataset)


def test_training_on_one_picture_lowers_the_loss(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.steps, params.saves, params.batch_size = 40, 1, 1
    one = ImageSet(images=ImageSet.load(store, dataset).images[:1]).save(store)
    losses = log_of(store, run(tmp_path, models, params, one))["loss"]
    assert np.mean(losses[-10:]) < 0.97 * np.mean(losses[:10])


def _pipeline(models: Path, params: TrainParams) -> Any:
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(models / params.base_model, safety_checker=None, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _draw(pipeline: Any, seed: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    return np.asarray(pipeline("kyara, tag1", num_inference_steps=3, height=64, width=64, generator=generator).images[0])
