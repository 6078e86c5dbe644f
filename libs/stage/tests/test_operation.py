"""What tells one action from another."""

from collections.abc import Mapping
from pathlib import Path

from google.protobuf.message import Message

from kyara.embedder.v1.embedder_pb2 import EmbedParams
from kyara.stage.v1.stage_pb2 import Action
from kyara_stage import Inputs, Operation, Outputs
from kyara_stage.operation import action_sha256


async def run(_ctx: object, _params: EmbedParams, _inputs: Inputs) -> Outputs:
    return {}


def sha256_with(models: Mapping[str, str], claimed: Mapping[str, str] | None = None, version: int = 1) -> str:
    def digests(_params: Message, _models: Path | None) -> Mapping[str, str]:
        return models

    action = Action(stage="embedder", models=claimed)
    action.params.Pack(EmbedParams(model="ccip"))
    operation = Operation(name="embedder", version=version, params=EmbedParams, run=run, models=digests)
    return action_sha256(operation.identified(action))


def test_other_weights_under_one_name_are_another_action() -> None:
    assert sha256_with({"ccip": "old"}) != sha256_with({"ccip": "new"})


def test_what_a_caller_says_of_models_counts_for_nothing() -> None:
    assert sha256_with({"ccip": "old"}, claimed={"ccip": "new"}) == sha256_with({"ccip": "old"})


def test_another_version_is_another_action() -> None:
    assert sha256_with({}, version=1) != sha256_with({}, version=2)
