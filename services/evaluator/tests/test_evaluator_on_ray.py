"""The stage with a real Ray Serve and a real inference server."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import save

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams, Prompt
from kyara.stage.v1.stage_pb2 import ArtifactRef, RunResponse
from kyara_artifacts import File, FileSet, ImageSet, Store, get_json, read_picture
from kyara_evaluator.settings import EvaluatorSettings
from kyara_evaluator.stage import OPERATIONS
from kyara_inference import Inference
from kyara_inference.clip import embed_pictures, embed_texts, similarities
from kyara_rayjobs.report import read_record
from kyara_stage import StageContext, StageError
from tests.servers.processes import Server
from tests.servers.ray import Head

ENDS_S = 280.0
pytestmark = pytest.mark.timeout(900)  # only a machine that is busy with other things needs as long
PARAMS = EvaluateParams(
    preview_model="meinamix_v11",
    ccip_model="ccip-caformer-24-randaug-pruned",
    trigger="kyara",
    core_tags=["blue_hair"],
    prompts=[Prompt(name="plain", text="{trigger}, {core_tags}, solo")],
    max_pattern_prompts=2,
    width=64,
    height=64,
    sampler_steps=4,
    guidance=5,
    clip_skip=2,
    lora_weight=0.85,
    trigger_weight=1.15,
    seed=1,
    min_steps_per_image=1.5,
)


class Stage:
    """The evaluator's one operation, called as the stage's child does it."""

    def __init__(self, folder: Path, store: Store, models: Path, inference: Server, head: Head) -> None:
        self.settings = EvaluatorSettings(
            store=f"file://{folder}/store", ray=head.address, inference=inference.address, models=models, threads=1
        )
        self.store, self.folder = store, folder
        self.events: list[RunResponse] = []
        self.rejected: list[dict[str, str]] = []

    async def run(self, action: str, params: EvaluateParams, inputs: dict[str, ArtifactRef]) -> dict[str, ArtifactRef]:
        ctx = StageContext(action, self.store, self.settings, self.folder, self.events.append)
        async with asyncio.timeout(ENDS_S):
            outputs = await OPERATIONS[0].run(ctx, params, inputs)
        self.rejected = ctx.rejected
        return outputs


@pytest.fixture
def stage(tmp_path: Path, store: Store, models: Path, inference: Server, head: Head) -> Stage:
    return Stage(tmp_path, store, models, inference, head)


@pytest.fixture
def inputs(store: Store, dataset: ImageSet, saves: FileSet) -> dict[str, ArtifactRef]:
    return {"dataset": dataset.save(store), "saves": saves.save(store)}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(ENDS_S):
        while not condition():
            await asyncio.sleep(0.05)


async def test_every_save_and_the_base_model_are_drawn_and_scored_and_a_killed_replica_changes_nothing(
    stage: Stage, head: Head, inputs: dict[str, ArtifactRef], saves: FileSet
) -> None:
    outputs = await stage.run("a" * 64, PARAMS, inputs)
    assert set(outputs) == {"previews", "scores", "sheet", "curve", "report", "best"}
    previews = ImageSet.load(stage.store, outputs["previews"])
    names = [prompt["name"] for prompt in get_json(stage.store, outputs["scores"])["prompts"]]
    assert names == ["pattern_0", "pattern_1", "plain"]
    assert [(image.step, image.prompt) for image in previews] == [(step, name) for step in (0, 10, 20) for name in names]
    assert len({image.sha256 for image in previews}) == 9

    scores = get_json(stage.store, outputs["scores"])
    assert [step["step"] for step in scores["steps"]] == [10, 20]
    assert {"step", "recscore", "fidelity", "control", "copies", "memorised", "diversity", "drift", "front", "why"} <= set(
        scores["steps"][0]
    )
    assert scores["steps"][1]["why"].startswith("chosen: RecScore")
    assert scores["steps"][0]["why"].endswith("too few steps a picture")
    assert scores["images"] == 12
    assert scores["steps"][0]["text"] is None, "no CLIP was asked"
    assert scores["best_step"] == 20, "the other one is under 1.5 steps a picture"
    assert outputs["best"].digest == saves.files[1].digest
    assert read_picture(stage.store.get(outputs["curve"].digest)).width > 400
    assert read_picture(stage.store.get(outputs["sheet"].digest)).width > 300
    assert b"kyara, blue hair" in stage.store.get(outputs["report"].digest)

    again = asyncio.create_task(stage.run("b" * 64, PARAMS, inputs))
    await until(lambda: bool(read_record(stage.store, f"evaluator/{'b' * 64}", "checkpoint")))
    os.kill(_replica_pid(head), signal.SIGKILL)
    assert await again == outputs

    began = time.monotonic()
    assert await stage.run("c" * 64, PARAMS, inputs) == outputs
    print(f"an evaluation with the preview model in memory: {time.monotonic() - began:.1f} s")

    # What an evaluation of the first save drew is not drawn again when there is another one.
    first = await stage.run("1" * 64, PARAMS, {**inputs, "saves": FileSet(files=saves.files[:1]).save(stage.store)})
    stage.events.clear()
    assert await stage.run("2" * 64, PARAMS, {**inputs, "drawn": first["previews"]}) == outputs
    drawn = [event.progress.total for event in stage.events if event.progress.phase == "drawing previews"]
    assert set(drawn) == {3}, "three prompts of one save"


async def test_a_lora_of_another_architecture_is_set_aside_and_the_others_are_scored(
    stage: Stage, inputs: dict[str, ArtifactRef], saves: FileSet
) -> None:
    module = "lora_unet_mid_block_attentions_0_transformer_blocks_9_attn1_to_q"
    tensors = {f"{module}.lora_down.weight": torch.ones(4, 1280), f"{module}.lora_up.weight": torch.ones(1280, 4)}
    digest = stage.store.put(save(tensors))
    alien = File(name="xl.safetensors", sha256=digest.sha256, size=digest.size_bytes, meta={"step": 30})
    both = FileSet(files=(*saves.files, alien)).save(stage.store)
    outputs = await stage.run("e" * 64, PARAMS, {**inputs, "saves": both})
    assert [step["step"] for step in get_json(stage.store, outputs["scores"])["steps"]] == [10, 20]
    (aside,) = stage.rejected
    assert aside["item"] == "xl.safetensors"
    assert "does not fit the base model" in aside["reason"]
    with pytest.raises(StageError, match="none of the 1 LoRAs"):
        await stage.run("f" * 64, PARAMS, {**inputs, "saves": FileSet(files=(alien,)).save(stage.store)})


async def test_every_preview_and_save_is_told_how_like_its_prompts_words_it_is_beside_the_base_model(
    stage: Stage, inputs: dict[str, ArtifactRef]
) -> None:
    params = EvaluateParams()
    params.CopyFrom(PARAMS)
    params.clip_model = "miniature-clip"
    params.max_pattern_prompts = 0
    del params.prompts[:]
    texts = {"maid": "{trigger}, (maid:1.2), apron", "full_body": "{trigger}, full body", "bare": "{trigger}"}
    kinds = {"maid": "outfit", "full_body": "pose", "bare": "plain"}
    params.prompts.extend(Prompt(name=name, text=text, kind=kinds[name]) for name, text in texts.items())
    outputs = await stage.run("9" * 64, params, inputs)
    previews = ImageSet.load(stage.store, outputs["previews"])
    told = {(image.step, image.prompt): image.scores.get("text") for image in previews}
    pictures = [read_picture(stage.store.get(image.digest)) for image in previews if image.prompt != "bare"]
    with Inference(stage.settings.inference) as inference:
        words = embed_texts(inference, "miniature-clip", ["maid, apron", "full body"])
        alike = similarities(embed_pictures(inference, "miniature-clip", pictures), words)
    expected = {
        (step, name): alike[2 * row + column, column]
        for row, step in enumerate((0, 10, 20))
        for column, name in enumerate(("maid", "full_body"))
    }
    assert told == pytest.approx(expected | {(step, "bare"): None for step in (0, 10, 20)}, abs=1e-4)
    scores = get_json(stage.store, outputs["scores"])
    for row, step in ((scores["base"], 0), (scores["steps"][0], 10), (scores["steps"][1], 20)):
        by_kind = {"outfit": expected[step, "maid"], "pose": expected[step, "full_body"]}
        above = {kind: by_kind[kind] - expected[0, name] for kind, name in (("outfit", "maid"), ("pose", "full_body"))}
        assert row["text"] == pytest.approx(np.mean(list(by_kind.values())), abs=1e-4)
        assert row["text_by_kind"] == pytest.approx(by_kind, abs=1e-4)
        assert row["text_above_base_by_kind"] == pytest.approx(above, abs=1e-4)
        assert row["text_above_base"] == pytest.approx(np.mean(list(above.values())), abs=1e-4)
    assert [prompt["words"] for prompt in scores["prompts"]] == ["maid, apron", "full body", ""]
    assert b"Likeness of text and picture" in stage.store.get(outputs["report"].digest)


async def test_an_unknown_model_is_the_users_error(stage: Stage, inputs: dict[str, ArtifactRef]) -> None:
    params = EvaluateParams()
    params.CopyFrom(PARAMS)
    params.ccip_model = "none"
    with pytest.raises(StageError, match="no model 'none'"):
        await stage.run("d" * 64, params, inputs)
    params.ccip_model, params.clip_model = PARAMS.ccip_model, "miniature-tagger"
    with pytest.raises(StageError, match="is a tagger model"):
        await stage.run("d" * 64, params, inputs)


def _replica_pid(head: Head) -> int:
    processes = psutil.Process(head.pid).children(recursive=True)
    return next(p.pid for p in processes if "ServeReplica:previews" in " ".join(p.cmdline()))
