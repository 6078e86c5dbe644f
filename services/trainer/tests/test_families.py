"""Base models of both families, and folders that are none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from safetensors import safe_open

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import PivotalParams, TrainParams
from kyara_artifacts import Store
from kyara_stage import StageError
from kyara_trainer.loading import align, load_base
from kyara_trainer.model import Framing
from services.trainer.tests.trainer_runs import files_of, interrupted, run, tensors_of


def test_an_sdxl_lora_is_trained_named_and_read_as_sdxls(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    params.base_model = "sdxl"
    trained = []
    monkeypatch.setattr("kyara_trainer.run.load_base", lambda *a: trained.append(load_base(*a)) or trained[0])
    result = run(tmp_path, models, params, dataset)
    tensors = tensors_of(store, result)
    layer = "text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight"
    assert {name.split("_text_model")[0] for name in tensors if name.startswith("lora_te")} == {"lora_te1", "lora_te2"}
    assert all(tensors[f"{prefix}_{layer}"].abs().sum() > 0 for prefix in ("lora_te1", "lora_te2")), "both were trained"
    assert tensors["lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight"].dim() == 2
    path = tmp_path / "lora.safetensors"
    store.fetch(files_of(store, result).files[-1].digest, path)
    with safe_open(path, "pt") as opened:
        header = opened.metadata()
    assert header["ss_base_model_version"] == "sdxl_base_v1-0"
    assert header["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"

    reader, own = _pipeline(models), _pipeline(models)
    plain = _draw(reader)
    reader.load_lora_weights(str(path))
    own.unet = trained[0].unet
    own.text_encoder, own.text_encoder_2 = (encoder.model for encoder in trained[0].text_encoders.values())
    for part in (reader.unet, reader.text_encoder, reader.text_encoder_2, reader.vae, own.vae):
        align(part)
    assert np.array_equal(_draw(reader), _draw(own))
    assert not np.array_equal(_draw(reader), plain)


def test_an_sdxl_run_with_pivotal_words_goes_on_to_the_same_bytes(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    params.base_model = "sdxl"
    params.pivotal.CopyFrom(PivotalParams(words=2, init_std=0.02, learning_rate=1e-3))
    whole = run(tmp_path, models, params, dataset, "trainer/whole")
    assert interrupted(monkeypatch, 5, tmp_path, models, params, dataset) == (whole, 3)
    words = tensors_of(store, whole, "embeddings")
    assert {name: tuple(weight.shape) for name, weight in words.items()} == {"clip_l": (2, 16), "clip_g": (2, 16)}


def test_sdxl_is_told_how_a_picture_was_cut_and_what_its_caption_says_as_a_whole(models: Path) -> None:
    base = load_base(models / "sdxl", torch.device("cpu"))
    noisy = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    told = base.encode_text(["kyara, hat"], 1)
    assert told.hidden.shape == (1, 77, 32)
    with torch.no_grad():
        whole, cut = (
            base.predict(noisy, torch.tensor([500]), told, [Framing((64, 64), corner, (64, 64))]) for corner in ((0, 0), (16, 0))
        )
    assert not torch.equal(whole, cut)
    pipeline = _pipeline(models)
    hidden, _, pooled, _ = pipeline.encode_prompt("kyara, hat", do_classifier_free_guidance=False)
    assert torch.allclose(told.hidden, hidden, atol=1e-6)
    assert told.pooled is not None
    assert torch.allclose(told.pooled, pooled, atol=1e-6)


def test_a_folder_of_another_architecture_is_refused_by_its_name(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams
) -> None:
    other = tmp_path / "models" / params.base_model
    shutil.copytree(models / params.base_model, other)
    index = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").write_text(json.dumps({**index, "_class_name": "FluxPipeline"}))
    with pytest.raises(StageError, match="meinamix_v11 is a FluxPipeline; a LoRA can be trained on StableDiffusionPipeline"):
        run(tmp_path, tmp_path / "models", params, dataset)
    (other / "model_index.json").unlink()
    with pytest.raises(StageError, match=r"no model_index\.json"):
        run(tmp_path, tmp_path / "models", params, dataset)


def _pipeline(models: Path) -> StableDiffusionXLPipeline:
    pipeline = StableDiffusionXLPipeline.from_pretrained(models / "sdxl", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _draw(pipeline: StableDiffusionXLPipeline) -> np.ndarray:
    dice = torch.Generator().manual_seed(1)
    answer = pipeline("kyara, tag1", num_inference_steps=3, height=64, width=64, generator=dice)
    return np.asarray(answer.images[0])  # pyright: ignore[reportAttributeAccessIssue]
