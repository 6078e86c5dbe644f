"""What `kyara models add` takes, what it refuses and why, and that a changed model is another one."""

import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_inference import ModelMissing, UnknownModel, base_model, catalogue, digests_of, local_path
from kyara_inference.adding import add
from kyara_inference.checkpoint import UnfitModel
from kyara_inference.own import own_models
from kyara_inference.pull import PullError
from tests.servers.base_model import write_base_model, write_xl_base_model
from tests.servers.checkpoint import Tensors, checkpoint_of, write_checkpoint, write_config
from tests.servers.hub import LocalHub

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder."""
    folder = tmp_path_factory.mktemp("base") / "base"
    write_base_model(folder)
    return folder


@pytest.fixture
def source(base: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    return Path(shutil.copytree(base, tmp_path / "source"))


@pytest.fixture
def models(base: Path, tmp_path: Path) -> Path:
    """The folder of models, with what a checkpoint of one file leaves out."""
    write_config(base, tmp_path / "models" / "sd15-config")
    return tmp_path / "models"


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with LocalHub() as started:
        yield started


def digest(models: Path) -> dict[str, str]:
    return digests_of(TrainParams(base_model="own/mine"), models)


def test_a_folder_is_taken_without_what_is_not_needed_and_is_found_by_its_name(source: Path, models: Path) -> None:
    for name in ("unet/run_me.py", "unet/diffusion_pytorch_model.fp16.safetensors", "README.md", "other.ckpt"):
        (source / name).write_bytes(b"x")
    folder, origin = add("own/mine", str(source), models)
    assert base_model("own/mine", models) == folder
    assert (folder / UNET).read_bytes() == (source / UNET).read_bytes()
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == set(origin.files)
    assert not {path for path in origin.files if not path.endswith((".json", ".txt", ".safetensors"))}
    assert [(name, each.source) for name, each in own_models(models)] == [("own/mine", str(source))]
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted([folder.name, "origin.json"])


def test_the_digest_is_of_the_bytes_and_a_changed_file_is_refused(source: Path, models: Path) -> None:
    folder, _ = add("own/mine", str(source), models)
    known = digest(models)
    assert known.keys() == {"own/mine"}
    os.utime(folder / UNET, (1, 1))
    assert digest(models) == known, "a copy with another time is the same model"
    changed = bytearray((folder / UNET).read_bytes())
    changed[-1] ^= 1
    (folder / UNET).write_bytes(changed)
    for ask in (digest, lambda models: base_model("own/mine", models)):
        with pytest.raises(ModelMissing, match=r"unet/.* was changed since it was added.*--replace"):
            ask(models)
    (source / UNET).write_bytes(changed)
    add("own/mine", str(source), models, replace=True)
    assert digest(models) != known
    (base_model("own/mine", models) / UNET).unlink()
    with pytest.raises(ModelMissing, match=r"unet/.* is not there; add it again with `kyara models add mine SOURCE --replace`"):
        digest(models)


def test_a_name_that_is_taken_needs_to_be_asked_for(source: Path, models: Path) -> None:
    first, _ = add("own/mine", str(source), models)
    assert add("own/mine", str(source), models)[0] == first, "the same again is no change"
    (source / "scheduler" / "scheduler_config.json").write_text("{}")
    with pytest.raises(UnfitModel, match=r"own/mine is there already, from .*source.*--replace"):
        add("own/mine", str(source), models)
    assert base_model("own/mine", models) == first
    second, _ = add("own/mine", str(source), models, replace=True)
    assert second != first and not first.exists()


@pytest.mark.parametrize("name", ["own/", "own/..", "own/a/b", "own/.hidden", "own/a b", "own/é", f"own/{'x' * 65}"])
def test_a_name_can_lead_nowhere_else(source: Path, models: Path, name: str) -> None:
    with pytest.raises(UnknownModel, match="no name of an own model"):
        add(name, str(source), models)
    with pytest.raises(UnknownModel):
        base_model(name, models)


def test_no_model_of_the_catalogue_has_a_name_of_the_users() -> None:
    assert not [name for name in catalogue() if "/" in name or name == "own"]
    assert base_model("miniature-base") == local_path("miniature-base")
    with pytest.raises(UnknownModel, match="is a config model, which does not fit here"):
        base_model("sd15-config")


def test_a_model_that_was_not_added_is_missing_with_the_folder_and_the_command(models: Path) -> None:
    with pytest.raises(ModelMissing, match=rf"own/mine is not in {models}/own/mine.*`kyara models add mine SOURCE`"):
        digest(models)


# --- what is no base model ------------------------------------------------------------------------------------------


def as_file(tensors: Tensors, path: Path) -> None:
    save_file({name: each.contiguous() for name, each in tensors.items()}, path)


def without(mark: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: each for name, each in tensors.items() if mark not in name}


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name.replace(old, new): each for name, each in tensors.items()}


def inpainting(tensors: Tensors) -> Tensors:
    return tensors | {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(8, 9, 3, 3)}


def wider_text(tensors: Tensors) -> Tensors:
    name = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    return tensors | {name: torch.zeros(8, 32)}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _: {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(4, 8)}, "a LoRA, no base model"),
        (lambda _: {"unet.mid_block.attentions.0.proj_in.lora_A.weight": torch.zeros(4, 8)}, "a LoRA, no base model"),
        (lambda _: {"emb_params": torch.zeros(4, 768)}, "an embedding"),
        (lambda _: {"control_model.time_embed.0.weight": torch.zeros(4, 4)}, "a ControlNet"),
        (renamed("cond_stage_model.transformer", "conditioner.embedders.0.transformer"), "Stable Diffusion XL"),
        (renamed("cond_stage_model.transformer", "cond_stage_model.model"), "Stable Diffusion 2"),
        (lambda _: {"model.diffusion_model.joint_blocks.0.x": torch.zeros(1)}, "Stable Diffusion 3"),
        (lambda _: {"double_blocks.0.img_attn.qkv.weight": torch.zeros(1)}, "Flux"),
        (lambda _: {"down_blocks.0.resnets.0.conv1.weight": torch.zeros(1)}, "one part of a diffusers folder"),
        (lambda _: {"something": torch.zeros(1)}, "no UNet, no VAE encoder.*its first part is something"),
        (without("first_stage_model"), "no VAE encoder, no VAE decoder, only UNet and text encoder"),
        (without("cond_stage_model"), "has no text encoder"),
        (renamed(".text_model.", "."), "without `text_model`"),
        (inpainting, "inpainting"),
        (wider_text, r"attn2.to_k.weight is \[8, 32\], not \[8, 16\]"),
    ],
)
def test_another_file_is_refused_with_what_it_is(
    base: Path, models: Path, tmp_path: Path, spoil: Callable[[Tensors], Tensors], said: str
) -> None:
    path = tmp_path / "one.safetensors"
    as_file(spoil(checkpoint_of(base)), path)
    with pytest.raises(UnfitModel, match=said):
        add("own/mine", str(path), models)
    assert not (models / "own" / "mine").exists(), "nothing is left behind"


class Bomb:
    """What a pickle runs when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("loaded",)


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))


@pytest.mark.parametrize("name", ["one.safetensors", "one.ckpt", "one.pt"])
@pytest.mark.parametrize("write", [lambda path: path.write_bytes(pickle.dumps(Bomb())), zipped])
def test_a_pickle_is_refused_with_the_way_to_convert_it_and_nothing_of_it_runs(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[Path], object]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name)
    with pytest.raises(UnfitModel, match=r"a pickle.*convert it on a machine that you can lose: python -c .*save_file"):
        add("own/mine", str(tmp_path / name), models)
    assert not (tmp_path / "loaded").exists()


@pytest.mark.parametrize("cut", [0, 7, 100, -1], ids=["empty", "in its length", "in its header", "in its weights"])
def test_a_file_that_is_cut_short_or_lies_in_its_header_is_refused(base: Path, models: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "one.safetensors"
    write_checkpoint(base, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UnfitModel, match="no safetensors file, or cut short"):
        add("own/mine", str(path), models)
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(UnfitModel, match="no safetensors file"):
        add("own/mine", str(path), models)


def test_a_checkpoint_without_its_configs_names_the_command_that_fetches_them(base: Path, tmp_path: Path) -> None:
    write_checkpoint(base, tmp_path / "one.safetensors")
    with pytest.raises(ModelMissing, match="kyara models pull sd15-config"):
        add("own/mine", str(tmp_path / "one.safetensors"), tmp_path / "models")


def spoil_pickles(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.bin")


def spoil_disguise(folder: Path) -> None:
    zipped(folder / UNET)


def spoil_variant(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")


def spoil_index(folder: Path, **changes: object) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | changes))


def spoil_sd2(folder: Path) -> None:
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps(config | {"use_linear_projection": True}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "model_index.json").unlink(), r"no diffusers folder: it has no model_index\.json"),
        (lambda folder: (folder / "model_index.json").write_text("["), "no JSON"),
        (spoil_pickles, r"its unet only as a pickle \(\.bin\).*convert it.*save_pretrained"),
        (spoil_disguise, "a pickle, by its name or content"),
        (spoil_variant, r"fp16\.safetensors but no unet/diffusion_pytorch_model\.safetensors"),
        (lambda folder: (folder / UNET).unlink(), "has no unet/diffusion_pytorch_model.safetensors; is it whole"),
        (lambda folder: shutil.rmtree(folder / "tokenizer"), "has no tokenizer/tokenizer_config.json; is it whole"),
        (lambda folder: spoil_index(folder, _class_name="FluxPipeline"), "is a FluxPipeline"),
        (lambda folder: spoil_index(folder, unet=["run_me", "UNet"]), "its unet is of run_me"),
        (lambda folder: spoil_index(folder, vae=7), "its vae is of nothing"),
        (spoil_sd2, "this is Stable Diffusion 2"),
    ],
)
def test_another_folder_is_refused_with_what_to_do(source: Path, models: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(source)
    with pytest.raises(UnfitModel, match=said):
        add("own/mine", str(source), models)
    assert not (models / "own" / "mine").exists()


def test_an_sdxl_folder_is_taken_as_such(models: Path, tmp_path: Path) -> None:
    write_xl_base_model(tmp_path / "xl")
    _, origin = add("own/xl", str(tmp_path / "xl"), models)
    assert origin.pipeline == "StableDiffusionXLPipeline"
    assert {"text_encoder_2/model.safetensors", "tokenizer_2/vocab.json"} <= set(origin.files)


def test_what_is_not_there_is_said(models: Path) -> None:
    with pytest.raises(UnfitModel, match="there is no /nowhere; give a diffusers folder"):
        add("own/mine", "/nowhere", models)


# --- from a hub -------------------------------------------------------------------------------------------------------


def published(hub: LocalHub, folder: Path) -> str:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return hub.add("model", "some/base", files)


def test_a_hubs_folder_is_taken_at_the_commit_that_its_revision_is(hub: LocalHub, source: Path, models: Path) -> None:
    (source / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    commit = published(hub, source)
    folder, origin = add("own/mine", "hub:some/base@main", models, endpoint=hub.endpoint)
    assert origin.source == f"hub:some/base@{commit}"
    assert (folder / UNET).read_bytes() == (source / UNET).read_bytes()
    assert not [path for path in folder.rglob("*") if path.suffix == ".bin"]
    _, copied = add("own/copy", str(source), models)
    assert copied.digest == origin.digest, "the same bytes are the same model, wherever they came from"
    hub.add("model", "some/base", {"scheduler/scheduler_config.json": b"{}"})
    with pytest.raises(UnfitModel, match="own/copy is there already"):
        add("own/copy", f"hub:some/base@{commit}", models, endpoint=hub.endpoint)
    fetched = len(hub.requests)
    assert add("own/mine", f"hub:some/base@{commit}", models, endpoint=hub.endpoint) == (folder, origin)
    assert len(hub.requests) == fetched + 1, "the same again asks only which commit it is"


def test_a_download_that_was_stopped_goes_on_where_it_was(hub: LocalHub, source: Path, models: Path) -> None:
    big = {name: each.repeat(400, *[1] * (each.dim() - 1)) for name, each in checkpoint_of(source).items() if each.dim() == 4}
    as_file(big, source / UNET)
    commit = published(hub, source)

    def stop(name: str, done: int, size: int) -> None:
        if name == UNET and done > size // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add("own/mine", f"hub:some/base@{commit}", models, endpoint=hub.endpoint, on_progress=stop)
    with pytest.raises(ModelMissing):
        base_model("own/mine", models)
    folder, _ = add("own/mine", f"hub:some/base@{commit}", models, endpoint=hub.endpoint)
    assert len(hub.ranges) == 1 and hub.ranges[0] > "bytes=0-"
    assert (folder / UNET).read_bytes() == (source / UNET).read_bytes()
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted([folder.name, "origin.json"])


def test_a_hubs_repository_that_does_not_fit_is_refused_before_its_weights_are_fetched(
    hub: LocalHub, source: Path, models: Path
) -> None:
    spoil_pickles(source)
    commit = published(hub, source)
    with pytest.raises(UnfitModel, match=r"only as a pickle \(\.bin\)"):
        add("own/mine", f"hub:some/base@{commit}", models, endpoint=hub.endpoint)
    assert not [path for method, path in hub.requests if method == "GET" and path.startswith("/storage/")]
    hub.add("model", "some/lora", {"lora.safetensors": b"x"})
    with pytest.raises(PullError, match=r"has no file model_index\.json"):
        add("own/mine", "hub:some/lora@main", models, endpoint=hub.endpoint)
    with pytest.raises(PullError, match="no such revision"):
        add("own/mine", f"hub:some/base@{'0' * 40}", models, endpoint=hub.endpoint)
    for malformed in ("hub:some/base", "hub:base@main", "hub:a/b/c@main", "hub:some/base@"):
        with pytest.raises(UnfitModel, match="OWNER/REPO@REVISION"):
            add("own/mine", malformed, models, endpoint=hub.endpoint)
    assert not (models / "own" / "mine").exists()
