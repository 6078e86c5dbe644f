"""What a stage is given: an input that its action lacks is its caller's mistake, said by name."""

import grpc
import pytest

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara.stage.v1.stage_pb2 import Action
from kyara_artifacts import digest_of, ref
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError, StageSettings
from kyara_stage.operation import action_sha256

VIDEO = ref("video", digest_of(b"x"), "video/x-matroska")


async def run(ctx: StageContext[StageSettings], params: KeyframeParams, inputs: Inputs) -> Outputs:
    """Never called here."""
    raise AssertionError(ctx, params, inputs)


OPERATION = Operation(name="probe", version=1, params=KeyframeParams, run=run)


def test_a_missing_input_is_said_with_those_that_were_given() -> None:
    inputs = OPERATION.inputs_of({"video": VIDEO, "audio": VIDEO})
    assert inputs["video"] == VIDEO
    assert inputs.get("crops") is None
    with pytest.raises(StageError, match="probe needs the input 'crops'; given are: audio, video") as caught:
        inputs["crops"]
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_an_actions_digest_depends_on_what_it_says_and_on_nothing_else() -> None:
    one, other = Action(stage="probe", stage_version=1), Action(stage="probe", stage_version=1)
    for action, names in ((one, "abc"), (other, "cba")):
        action.params.Pack(KeyframeParams(max_height=3))
        for name in names:
            action.inputs[name].CopyFrom(VIDEO)
    assert action_sha256(one) == action_sha256(other)
    spelt_out = Action()
    spelt_out.CopyFrom(one)
    spelt_out.params.Pack(KeyframeParams(max_height=3, min_gap_s=0))
    assert action_sha256(spelt_out) == action_sha256(one), "a default that is spelt out is still the default"
    digests = {action_sha256(one)}
    for change in ({"salt": "x"}, {"stage_version": 2}, {"stage": "probe.world"}):
        changed = Action()
        changed.CopyFrom(one)
        for name, value in change.items():
            setattr(changed, name, value)
        digests.add(action_sha256(changed))
    changed = Action()
    changed.CopyFrom(one)
    changed.inputs["a"].digest.size_bytes += 1
    digests.add(action_sha256(changed))
    assert len(digests) == 5


def test_an_actions_digest_is_the_same_in_every_release() -> None:
    """Kept results lie under it: a change of it throws away what every store holds."""
    action = Action(stage="probe", stage_version=1, inputs={"video": VIDEO}, salt="s")
    action.params.Pack(KeyframeParams(max_height=3, min_gap_s=0.5))
    assert action_sha256(action) == "c31e5ff8d85b7e6d041523f9352e2f39f38a93e6cd6537fa37593704a7ab96b0"
