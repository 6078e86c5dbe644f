"""`make bench-evaluate`: previews of a training's saves beside a plain diffusers loop, and RecScore of 1,000 previews and 500
pictures.

The loop loads each save into the pipeline and draws one prompt after another, as one writes it after reading diffusers' pages;
same base model, sampler, steps, sizes and threads for both.
"""

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from imgutils.utils import open_onnx_model
from safetensors.torch import save_file

from kyara.trainer.v1.trainer_pb2 import AdapterParams, TrainParams
from kyara_evaluator.drawing import Previewer
from kyara_evaluator.request import DrawRequest, Lora
from kyara_evaluator.scoring import Preview, score_steps
from kyara_inference import Inference, catalogue, differences
from kyara_inference.catalogue import local_path
from kyara_trainer import adapter
from kyara_trainer.loading import load_base
from tests.bench.rows import Row, medians, report
from tests.servers.inference import inference_server

BASE, CCIP = "miniature-base", "miniature-ccip"
SAVES, SIDE, STEPS, GUIDANCE, THREADS = 6, 72, 20, 4.0, 2
PROMPTS = ("plain", "maid, apron", "armor", "full body", "smile", "school uniform", "outdoors", "simple background")
PREVIEWS, PICTURES, FEATURES = 1_000, 500, 768
_NEGATIVE = "blurry"


def previews(folder: Path) -> Iterator[Row]:
    """Every prompt with every save."""
    files = _saves(folder)
    model = str(local_path(BASE))
    torch.set_num_threads(THREADS)
    ours = Previewer(Path(model), THREADS)
    pipeline: Any = StableDiffusionPipeline.from_pretrained(model, safety_checker=None, requires_safety_checker=False)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config, use_karras_sigmas=True)
    pipeline.set_progress_bar_config(disable=True)
    texts = [f"kyara, 1girl, {words}" for words in PROMPTS]

    def kyara() -> None:
        for number, file in enumerate(files):
            prompts = [{"text": text, "negative": _NEGATIVE, "seed": place} for place, text in enumerate(texts)]
            ours.draw(DrawRequest(number, Lora("", 0), prompts, SIDE, SIDE, STEPS, GUIDANCE, 1, 1.0), file)

    def loop() -> None:
        for file in files:
            pipeline.load_lora_weights(str(file))
            for place, text in enumerate(texts):
                dice = torch.Generator().manual_seed(place)
                pipeline(
                    text, negative_prompt=_NEGATIVE, width=SIDE, height=SIDE, num_inference_steps=STEPS,
                    guidance_scale=GUIDANCE, generator=dice,
                )  # fmt: skip
            pipeline.unload_lora_weights()

    mine, peer = medians(kyara, loop)
    count = SAVES * len(PROMPTS)
    notes = {"previews_per_s": round(count / mine, 2), "peer_per_s": round(count / peer, 2)}
    yield Row(f"{count} previews, {SAVES} saves", mine, "a plain diffusers loop", peer, notes)


def recscore(folder: Path) -> Iterator[Row]:
    """From vectors to RecScore, the model's metric included; the peer asks for all pairs at once, as imgutils does."""
    dice = np.random.default_rng(5)
    shown, known = (dice.standard_normal((count, FEATURES)).astype(np.float32) for count in (PREVIEWS, PICTURES))
    vectors = np.concatenate([shown, known])
    judged = [Preview(number % 10, f"prompt {number // 10}", False) for number in range(PREVIEWS)]
    whole: Any = open_onnx_model(str(local_path(CCIP) / "model_metrics.onnx"))
    found: dict[str, list[float]] = {}
    with inference_server(folder) as server, Inference(server.address) as inference:
        threshold = catalogue().ccip(CCIP).threshold

        def kyara() -> None:
            apart = differences(inference, CCIP, vectors)[:PREVIEWS, PREVIEWS:]
            found["kyara"] = [score.recscore for score in score_steps(judged, apart, threshold)]

        def at_once() -> None:
            (apart,) = whole.run(["output"], {"input": vectors})
            found["peer"] = [score.recscore for score in score_steps(judged, apart[:PREVIEWS, PREVIEWS:], threshold)]

        before = _megabytes()
        kyara()
        grown = _megabytes() - before
        mine, peer = medians(kyara, at_once)
    notes = {"pairs": PREVIEWS * PICTURES, "same_scores": found["kyara"] == found["peer"], "mb_more": grown}
    yield Row(f"RecScore of {PREVIEWS} previews and {PICTURES} pictures", mine, "all pairs at once", peer, notes)


def _megabytes() -> int:
    """The most that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _saves(folder: Path) -> list[Path]:
    """LoRAs as a training leaves them, of random weights."""
    base = load_base(local_path(BASE), torch.device("cpu"))
    adapter.attach(base, TrainParams(unet=AdapterParams(rank=8, alpha=8)), 1)
    files = []
    for number in range(SAVES):
        dice = torch.Generator().manual_seed(number)
        for name, weight in adapter.weights(base).items():
            if name.endswith("lora_up.weight"):
                weight.data.normal_(0, 0.02, generator=dice)
        files.append(folder / f"{number}.safetensors")
        save_file(adapter.tensors(base, torch.float32), files[-1])
    return files


if __name__ == "__main__":
    report((previews, recscore), sys.argv[1:], Path("out/bench-evaluate"))
