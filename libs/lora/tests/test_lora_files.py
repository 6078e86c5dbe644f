"""A LoRA is the same whoever names its parts, and a file that is none, or none any more, is told."""

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from kyara_lora import COMMUNITY, DIFFUSERS, BadFile, LoraFile, converted, format_of, read, summary_of, write
from kyara_lora.names import UnknownName, dotted, underscored

SD15: dict[str, Any] = {"cross_attention_dim": 768, "attention_head_dim": 8, "block_out_channels": (320, 640, 1280, 1280)}
SDXL: dict[str, Any] = {
    "cross_attention_dim": 2048, "block_out_channels": (320, 640, 1280), "transformer_layers_per_block": (1, 2, 10),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), "use_linear_projection": True,
    "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip


def linear_names(network: torch.nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)]


@pytest.mark.parametrize("shape", [SD15, SDXL], ids=["sd15", "sdxl"])
def test_every_part_of_a_unet_is_found_again_in_its_name_with_underscores(shape: dict[str, Any]) -> None:
    with torch.device("meta"):
        names = linear_names(UNet2DConditionModel(**shape))
    assert len(names) > 250
    assert [dotted(underscored(name)) for name in names] == names


def test_every_part_of_a_text_encoder_is_too() -> None:
    with torch.device("meta"):
        names = linear_names(CLIPTextModel(CLIPTextConfig()))
    assert len(names) == 72
    assert [dotted(underscored(name)) for name in names] == names


def test_a_name_of_no_network_is_refused() -> None:
    with pytest.raises(UnknownName, match="'wobble_0'"):
        dotted("down_blocks_0_wobble_0")


def community(scale: float = 0.25, dtype: type = np.float16) -> LoraFile:
    dice = np.random.default_rng(1)
    tensors = {}
    for module, inner, outer in (
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 768, 32),
        ("lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_0_proj", 32, 64),
        ("lora_te_text_model_encoder_layers_3_self_attn_q_proj", 48, 48),
    ):
        tensors[f"{module}.lora_down.weight"] = dice.normal(size=(4, inner)).astype(dtype)
        tensors[f"{module}.lora_up.weight"] = dice.normal(size=(outer, 4)).astype(dtype)
        tensors[f"{module}.alpha"] = np.array(4 * scale, dtype)
    return LoraFile(tensors, {"ss_output_name": "hana", "ss_tag_frequency": '{"5_hana": {"smile": 3, "hat": 7}}'})


def changes(file: LoraFile) -> dict[str, np.ndarray]:
    """What the file adds to each weight, by a name without any program's words."""
    found = {}
    for name, down in file.tensors.items():
        if ends := re.search(r"(lora_down|lora_A)", name):
            up = file.tensors[name.replace("lora_down", "lora_up").replace("lora_A", "lora_B")]
            module = name[: ends.start() - 1]
            scale = float(file.tensors.get(f"{module}.alpha", np.array(len(down)))) / len(down)
            bare = module.removeprefix("lora_").replace("text_encoder", "te").replace(".", "_").replace("te_text_model_", "te_")
            found[bare] = scale * up.astype(np.float64) @ down.astype(np.float64)
    return found


@pytest.mark.parametrize("scale", [1.0, 0.25, 0.125])
def test_a_converted_lora_changes_each_weight_as_much(scale: float) -> None:
    file = community(scale)
    there = converted(file, DIFFUSERS)
    assert format_of(there) == DIFFUSERS
    assert "unet.mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj.lora_A.weight" in there.tensors
    back = converted(there, COMMUNITY)
    wanted, halfway, again = changes(file), changes(there), changes(back)
    assert wanted.keys() == halfway.keys() == again.keys() and len(wanted) == 3
    for name, change in wanted.items():
        np.testing.assert_array_equal(halfway[name], change)
        np.testing.assert_array_equal(again[name], change)


def test_what_was_written_is_read_as_it_was_and_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "hana.safetensors").write_bytes(write(community()))
    file = read(tmp_path / "hana.safetensors")
    assert file.metadata["ss_output_name"] == "hana"
    assert all((file.tensors[name] == array).all() for name, array in community().tensors.items())
    assert write(file) == write(community())
    assert file.metadata["sshs_model_hash"] == file.payload_sha256


def test_a_summary_says_what_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "hana.safetensors").write_bytes(write(community()))
    summary = summary_of(read(tmp_path / "hana.safetensors"))
    assert (summary.kind, summary.architecture, summary.dtypes, summary.hash_fits) == ("LoRA", "SD 1.5", ("float16",), True)
    text, unet = summary.parts
    assert (unet.name, unet.modules, dict(unet.ranks), dict(unet.scales)) == ("unet", 2, {4: 2}, {0.25: 2})
    wanted = np.sqrt(np.mean([np.mean(change**2) for name, change in changes(community()).items() if name.startswith("te")]))
    assert text.strength == pytest.approx(wanted, rel=1e-3)
    assert summary.tags == (("hat", 7), ("smile", 3))


def test_nan_and_changed_tensors_are_told(tmp_path: Path) -> None:
    data = bytearray(write(community()))
    data[-2:] = np.array(np.nan, np.float16).tobytes()
    (tmp_path / "broken.safetensors").write_bytes(data)
    summary = summary_of(read(tmp_path / "broken.safetensors"))
    assert (summary.not_finite, summary.hash_fits) == (1, False)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04 a torch file", "a pickle, which runs whatever"),
        (b"\x80\x02}q\x00.", "a pickle, which runs whatever"),
        (write(community())[:-100], "cut short"),
        (b"\xff" * 64, "no safetensors file"),
        (b"", "no safetensors file"),
    ],
)
def test_what_is_no_safetensors_file_is_said(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(BadFile, match=said):
        read(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"model.diffusion_model.input_blocks.0.0.weight": np.zeros((2, 2), np.float32)}, "no LoRA of Stable Diffusion"),
        ({**community().tensors, "lora_unet_conv_in.hada_w1_a": np.zeros((2, 2), np.float16)}, "no part of a LoRA's pair"),
        ({**community().tensors, "lora_unet_conv_in.dora_scale": np.zeros(2, np.float16)}, "magnitudes"),
    ],
)
def test_what_cannot_be_converted_is_said_by_the_name_of_its_part(tensors: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(BadFile, match=said):
        converted(LoraFile(tensors, {}), DIFFUSERS)


def test_the_hash_is_that_of_the_tensors_as_they_lie_in_the_file(tmp_path: Path) -> None:
    data = write(community())
    (tmp_path / "x.safetensors").write_bytes(data)
    payload = data[8 + int.from_bytes(data[:8], "little") :]
    assert read(tmp_path / "x.safetensors").payload_sha256 == hashlib.sha256(payload).hexdigest()


@pytest.mark.parametrize("second", [2, 3, 4, 5])
def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path, second: int) -> None:
    """A length of 640 begins with the bytes of a pickle of protocol 2."""
    wanted = second * 256 + 128
    tensors = {"lora_unet_mid_block.lora_down.weight": np.zeros((2, 2), np.float32)}
    bare = len(write(LoraFile(tensors, {"ss_output_name": ""}))) - 16 - 8
    path = tmp_path / "a.safetensors"
    path.write_bytes(write(LoraFile(tensors, {"ss_output_name": "x" * (wanted - bare)})))
    assert path.read_bytes()[:2] == bytes([0x80, second])
    assert set(read(path).tensors) == set(tensors)
