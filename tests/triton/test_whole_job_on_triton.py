"""A whole job with Triton in the embedded server's place."""

from pathlib import Path
from typing import Any

from kyara_miniature.episode import make_episode
from tests.servers.kyara import kyara_up, outputs_of, seeder
from tests.servers.triton import Triton

ASKS = {
    "miniature-detector": "detector",
    "miniature-ccip-feat": "embedder",
    "miniature-ccip-metrics": "evaluator",
    "miniature-tagger": "curator.package",
    "miniature-clip-image": "evaluator",
    "miniature-clip-text": "evaluator",
}
"""A stage that needs each model."""


def test_a_job_on_triton_ends_with_the_same_digests(server: Triton, tmp_path: Path) -> None:
    episode = tmp_path / "episode.mkv"
    make_episode(episode, 11, seconds=40, main=2, width=960, height=540)
    usual = whole_job(tmp_path / "embedded", episode, "")
    before = {model: server.count("nv_inference_count", model) for model in ASKS}
    on_triton = whole_job(tmp_path / "triton", episode, server.address)
    assert outputs_of(on_triton) == outputs_of(usual)
    assert {stage["stage"] for stage in on_triton["stages"]} >= set(ASKS.values())
    asked = {model: server.count("nv_inference_count", model) - count for model, count in before.items()}
    assert all(asked.values()), asked
    print(f"\nstage, seconds with the embedded server, with Triton: samples asked of it {asked}")
    for stage, other in zip(usual["stages"], on_triton["stages"], strict=True):
        print(f"  {stage['stage']:<18} {stage['seconds']:6.1f} {other['seconds']:6.1f}")


def whole_job(folder: Path, episode: Path, inference: str) -> dict[str, Any]:
    """One from a magnet link to a scored LoRA, that nothing is known of before."""
    options = ("--name", "short", "--recipe", "miniature-quick", "--max-characters", "1", "--publish", str(folder / "out"))
    with kyara_up(folder / "state", inference=inference) as kyara, seeder(episode) as magnet:
        job = kyara.ended(kyara.submit("video", magnet, *options))
        programs = (folder / "state" / "programs.json").read_text()
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    assert ('"inference"' in programs) == (not inference)
    return job
