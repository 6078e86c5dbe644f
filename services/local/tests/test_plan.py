"""What `kyara up` starts, and what it tells each program."""

from pathlib import Path

from kyara_local.plan import programs
from kyara_local.settings import LocalSettings

ASK_MODELS = {"detector", "curator", "embedder", "clusterer", "evaluator"}


def test_stages_ask_the_embedded_server_unless_told_of_another(tmp_path: Path) -> None:
    usual = {each.name: each for each in programs(LocalSettings(state=tmp_path))}
    assert asked(usual) == dict.fromkeys(ASK_MODELS, usual["inference"].address)
    with_triton = {each.name: each for each in programs(LocalSettings(state=tmp_path, inference="triton.example:8001"))}
    assert asked(with_triton) == dict.fromkeys(ASK_MODELS, "triton.example:8001")
    assert usual.keys() - with_triton.keys() == {"inference"}


def asked(started: dict) -> dict[str, str]:
    """Which inference server each program asks, for those that ask one."""
    addresses = {name: each.environment.get(f"KYARA_{name.upper()}_INFERENCE", "") for name, each in started.items()}
    return {name: address for name, address in addresses.items() if address}
