"""What recipes can ask for, end to end: the file it leaves, and that a run with it goes on where it was to the same bytes."""

import io
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import AdapterParams, PivotalParams, TrainParams
from kyara_artifacts import ImageSet, Store, open_store
from kyara_rayjobs import refs_of
from kyara_stage import StageError
from kyara_trainer.checks import check
from kyara_trainer.loading import load_base
from kyara_trainer.schedule import DataOrder
from kyara_trainer.train import Training
from services.trainer.tests.trainer_runs import files_of, interrupted, log_of, run, tensors_of

PIVOTAL = PivotalParams(words=4, init_std=0.017, learning_rate=3e-2, weight_decay=5e-4)
LOCON = AdapterParams(rank=4, alpha=2, learning_rate=1e-2, conv_rank=3, conv_alpha=1)
OPTIONS = {
    "locon": {"adapter": "locon", "unet": LOCON},
    "modules": {"unet": AdapterParams(rank=4, alpha=2, learning_rate=1e-2, modules=["attn2.to_k", "time_emb_proj"])},
    "dora": {"adapter": "dora"},
    "pivotal": {"pivotal": PIVOTAL},
    "noise": {"noise_offset": 0.1, "multires_noise_iterations": 6, "multires_noise_discount": 0.3, "min_snr_gamma": 5},
    "captions": {"caption_dropout": 0.4, "keep_tag_order": True, "tag_dropout": 0.0, "text_encoder": AdapterParams()},
    "schedule": {"schedule": "cosine", "gradient_accumulation": 2, "gradient_checkpointing": True, "precision": "bf16"},
    "validation": {"validation_share": 0.3},
    "adamw8bit": {"optimizer": "adamw8bit", "unet": AdapterParams(rank=64, alpha=2, learning_rate=1e-2)},
}


def with_options(params: TrainParams, name: str) -> TrainParams:
    if name == "adamw8bit":
        pytest.importorskip("bitsandbytes")
    for field, value in OPTIONS[name].items():
        if isinstance(value, str | int | float):
            setattr(params, field, value)
        else:
            getattr(params, field).CopyFrom(value)
    check(params)
    return params


@pytest.mark.parametrize("option", OPTIONS)
def test_a_run_with_any_option_goes_on_to_the_same_bytes(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    plain = run(tmp_path, models, params, dataset, "trainer/plain")
    params = with_options(params, option)
    whole = run(tmp_path, models, params, dataset, "trainer/whole")
    resumed, began = interrupted(monkeypatch, 7, tmp_path, models, params, dataset)
    assert began == 6
    assert resumed == whole
    assert whole["outputs"]["saves"] != plain["outputs"]["saves"], "the option does something"


@pytest.mark.parametrize("dies_at", range(1, 8))
def test_a_run_goes_on_to_the_same_bytes_wherever_it_died(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    """Seven pictures in three buckets are five batches: checkpoints lie in the middle of an epoch, at its end and in the next."""
    params.checkpoint_every = 1
    with_options(params, "noise")
    whole = run(tmp_path, models, params, dataset, "trainer/whole")
    resumed, began = interrupted(monkeypatch, dies_at, tmp_path, models, params, dataset)
    assert began == dies_at
    assert resumed == whole


def test_a_training_in_parts_ends_in_the_same_bytes(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.saves = 3
    whole = run(tmp_path, models, with_options(params, "noise"), dataset, "trainer/whole")
    before = None
    for part in (1, 2):
        params.stop_after = part
        result = run(tmp_path, models, params, dataset, f"trainer/part-{part}", before)
        before = refs_of(result["outputs"])["checkpoint"]
        assert len(files_of(open_store(f"file://{tmp_path}/store"), result).files) == part
    params.stop_after = 0
    assert run(tmp_path, models, params, dataset, "trainer/rest", before) == whole


def test_locon_adds_the_residual_blocks_with_a_rank_of_their_own(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.base_model = "nai"
    result = run(tmp_path, models, with_options(params, "locon"), dataset)
    tensors = tensors_of(store, result)
    block = "lora_unet_down_blocks_0_resnets_0"
    assert tensors[f"{block}_conv1.lora_down.weight"].shape == (3, 8, 3, 3)
    assert tensors[f"{block}_conv1.lora_up.weight"].shape == (8, 3, 1, 1)
    assert tensors[f"{block}_conv1.alpha"] == 1
    assert tensors[f"{block}_time_emb_proj.lora_down.weight"].shape[0] == 4
    assert tensors["lora_unet_down_blocks_0_downsamplers_0_conv.lora_down.weight"].shape == (3, 8, 3, 3)
    assert tensors["lora_unet_up_blocks_1_resnets_0_conv_shortcut.lora_down.weight"].shape == (4, 16, 1, 1)
    assert tensors["lora_unet_mid_block_attentions_0_proj_in.alpha"] == 2


def test_only_the_modules_that_are_named_get_a_lora(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.base_model, params.steps, params.saves = "nai", 1, 1
    params.unet.modules[:] = ["attn2.to_k", "time_emb_proj", "conv_shortcut"]
    params.text_encoder.modules[:] = ["v_proj"]
    tensors = tensors_of(store, run(tmp_path, models, params, dataset))
    given = {name.removesuffix(".alpha") for name in tensors if name.endswith(".alpha")}
    endings = ("_attn2_to_k", "_time_emb_proj", "_conv_shortcut", "_self_attn_v_proj")
    assert all(name.endswith(endings) for name in given)
    assert [sum(name.endswith(ending) for name in given) for ending in endings] == [16, 22, 12, 12]
    params.unet.modules[:] = ["o_k"]
    with pytest.raises(StageError, match=r"no module's name ends in 'o_k'; they end in .*attn2\.to_k"):
        run(tmp_path, models, params, dataset, "trainer/b")
    params.unet.modules[:] = [""]
    with pytest.raises(StageError, match=r"unet\.modules has an empty name"):
        check(params)


def test_dora_keeps_each_outputs_magnitude_apart_from_its_direction(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    monkeypatch.setattr("kyara_trainer.run.load_base", lambda *a: trained.append(load_base(*a)) or trained[0])
    tensors = tensors_of(store, run(tmp_path, models, with_options(params, "dora"), dataset))
    key = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    module = trained[0].unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q
    down, up, scale = (tensors[f"{key}.{name}"] for name in ("lora_down.weight", "lora_up.weight", "dora_scale"))
    assert scale.shape == (8, 1)
    direction = module.base_layer.weight + 2 / 4 * up @ down
    merged = scale * direction / direction.norm(dim=1, keepdim=True)
    given = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(module(given), given @ merged.T, atol=1e-5)
    assert not torch.allclose(scale, module.base_layer.weight.norm(dim=1, keepdim=True), atol=1e-4), "magnitudes were trained"


def test_pivotal_words_stand_for_the_trigger_and_are_saved_beside_each_lora(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    trained = []
    monkeypatch.setattr("kyara_trainer.run.load_base", lambda *a: trained.append(load_base(*a)) or trained[0])
    pass_ = Training._pass
    monkeypatch.setattr(Training, "_pass", lambda self, part, batch: seen.extend(part.captions) or pass_(self, part, batch))
    result = run(tmp_path, models, with_options(params, "pivotal"), dataset)
    assert all(caption.startswith("<kyara-0> <kyara-1> <kyara-2> <kyara-3>") and "kyara," not in caption for caption in seen)
    files = files_of(store, result, "embeddings").files
    assert [file.name for file in files] == ["kyara-000004.embedding.safetensors", "kyara-000008.embedding.safetensors"]
    words = tensors_of(store, result, "embeddings")["emb_params"]
    assert words.shape == (4, 16)

    base = trained[0]
    encoder = base.text_encoders["lora_te"]
    ids = encoder.tokenizer("<kyara-0> <kyara-3> a").input_ids
    looked_up = encoder.model.get_input_embeddings()(torch.tensor([ids]))[0]
    fresh = load_base(models / params.base_model, torch.device("cpu")).text_encoders["lora_te"]
    table = fresh.model.get_input_embeddings().weight
    assert torch.equal(looked_up[1], words[0])
    assert torch.equal(looked_up[2], words[3])
    assert torch.equal(looked_up[3], table[fresh.tokenizer("a").input_ids[1]]), "what the base knows stays as it was"


def test_pivotal_words_begin_at_their_deviation_and_are_trained(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    params.steps, params.saves = 1, 1
    params.pivotal.CopyFrom(PivotalParams(words=64, init_std=0.5, learning_rate=1e-9))
    begun = tensors_of(store, run(tmp_path, models, params, dataset, "trainer/a"), "embeddings")["emb_params"]
    assert abs(float(begun.std()) - 0.5) < 0.05
    params.pivotal.learning_rate = 1e-1
    after = tensors_of(store, run(tmp_path, models, params, dataset, "trainer/b"), "embeddings")["emb_params"]
    assert float((after - begun).abs().max()) > 0.01


def test_accumulated_passes_are_one_large_batch_within_rounding(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    with_options(params, "noise")
    params.buckets, params.batch_size = 1, 4
    large = run(tmp_path, models, params, dataset, "trainer/a")
    params.batch_size, params.gradient_accumulation = 2, 2
    accumulated = run(tmp_path, models, params, dataset, "trainer/b")
    assert np.allclose(log_of(store, large)["loss"], log_of(store, accumulated)["loss"], atol=1e-5)
    expected, found = tensors_of(store, large), tensors_of(store, accumulated)
    assert all(torch.allclose(found[name], expected[name], atol=2e-4) for name in expected)
    params.gradient_accumulation = 1
    smaller = tensors_of(store, run(tmp_path, models, params, dataset, "trainer/c"))
    assert not all(torch.allclose(smaller[name], expected[name], atol=2e-4) for name in expected)


def test_each_save_says_its_loss_on_pictures_held_back_which_no_step_sees(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    batch = DataOrder.batch
    monkeypatch.setattr(DataOrder, "batch", lambda self, step: seen.update(batch(self, step)) or batch(self, step))
    params.steps = 20
    result = run(tmp_path, models, with_options(params, "validation"), dataset)
    log = log_of(store, result)
    assert (log["images"], log["held_back"]) == (5, 2)
    assert len(seen) == 5
    assert [point["step"] for point in log["validation"]] == [0, 10, 20]
    saves = files_of(store, result).files
    assert [save.meta["validation_loss"] for save in saves] == [point["loss"] for point in log["validation"][1:]]
    images = ImageSet.load(store, dataset).images
    assert {tuple(save.meta["held_back"]) for save in saves} == {
        tuple(sorted(i.sha256 for n, i in enumerate(images) if n not in seen))
    }
    curve = PIL.Image.open(io.BytesIO(store.get(refs_of(result["outputs"])["curve"].digest)))
    assert curve.size == (800, 450)

    params.seed += 1
    other = log_of(store, run(tmp_path, models, params, dataset, "trainer/b"))
    assert other["validation"][0] == log["validation"][0], "before the first step, every seed's number is the same"
    assert other["validation"][1] != log["validation"][1]


def test_what_an_earlier_run_encoded_is_taken_from_the_store(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_options(params, "captions")
    first = run(tmp_path, models, params, dataset, "trainer/a")
    monkeypatch.setattr("kyara_trainer.latents._encode", _never)
    monkeypatch.setattr("kyara_trainer.texts.Texts._encode", _never)
    assert run(tmp_path, models, params, dataset, "trainer/b") == first
    store.remove_blobs([image.sha256 for image in ImageSet.load(store, dataset).images])
    assert run(tmp_path, models, params, dataset, "trainer/c") == first, "not even the pictures are looked at"
    params.resolution = 72
    with pytest.raises(AssertionError, match="encoded again"):
        run(tmp_path, models, params, dataset, "trainer/d")


def test_a_caches_lost_part_is_made_anew(
    tmp_path: Path, models: Path, store: Store, dataset: ArtifactRef, params: TrainParams
) -> None:
    first = run(tmp_path, models, params, dataset, "trainer/a")
    record = next(record for record in store.list_records() if record.name.startswith("trainer-cache/latents"))
    lost = next(iter(json.loads(store.get_record(record.name) or b"{}").values()))["digest"]["sha256"]
    store.remove_blobs([lost])
    assert run(tmp_path, models, params, dataset, "trainer/b") == first


def test_params_that_cannot_be_are_refused_by_name(params: TrainParams) -> None:
    for field, value in {
        "schedule": "warp",
        "optimizer": "sgd",
        "adapter": "lokr",
        "validation_share": 1.0,
        "noise_offset": -1,
    }.items():
        wrong = TrainParams()
        wrong.CopyFrom(params)
        setattr(wrong, field, value)
        with pytest.raises(StageError, match=field):
            check(wrong)
    params.unet.conv_rank = 4
    with pytest.raises(StageError, match="locon"):
        check(params)


def _never(*_: object, **__: object) -> None:
    raise AssertionError("encoded again")
