"""One suite that every stage server passes, whatever its stage does: each real server, with a tiny action for each operation."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from kyara.stage.v1.stage_pb2 import Action, Caller, CancelRequest, Result, RunRequest, RunResponse
from kyara.stage.v1.stage_pb2_grpc import StageServiceStub
from kyara_artifacts import Store, digest_of, open_store
from kyara_rpc import connect_sync, is_serving
from tests.contract.golden import complaint, entry_of, kept, versions
from tests.contract.rooms import ROOMS, Room, Work, room, serving
from tests.servers.inference import inference_server
from tests.servers.processes import Server
from tests.servers.ray import ray_head

SERVICE = "kyara.stage.v1.StageService"
RUN_S = 240
INVALID: int = grpc.StatusCode.INVALID_ARGUMENT.value[0]


@dataclass
class Tried:
    """A room's running server, and what its operations gave when they were first run."""

    room: Room
    server: Server
    store: Store
    actions: dict[str, Action] = field(default_factory=dict)
    _runs: dict[str, "First"] = field(default_factory=dict)

    def first(self, work: Work) -> "First":
        """The first run of a work's example, by two callers at once."""
        if work.name not in self._runs:
            self.actions[work.name] = work.action(self.store)
            self._runs[work.name] = run_by_two(self.server, self.actions[work.name])
        return self._runs[work.name]

    def again(self, work: Work, salt: str = "") -> Action:
        """The same action, or the same work disowned by `salt`."""
        action = Action()
        action.CopyFrom(self.actions[work.name])
        action.salt = salt
        return action


@dataclass(frozen=True)
class First:
    """What two callers of one action were told."""

    events: Sequence[RunResponse]
    joined: Sequence[RunResponse]

    @cached_property
    def result(self) -> Result:
        """The end of it."""
        return self.events[-1].result


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Room], dict[str, str]]]:
    """Where to find what a room needs, started when the first room asks."""
    found: dict[str, str] = {}
    with ExitStack() as servers:

        def of(asking: Room) -> dict[str, str]:
            if "inference" in asking.needs and "inference" not in found:
                folder = tmp_path_factory.mktemp("inference")
                found["inference"] = servers.enter_context(inference_server(folder)).address
            if "ray" in asking.needs and "ray" not in found:
                found["ray"] = servers.enter_context(ray_head()).address
            return found

        yield of


@pytest.fixture(scope="module", params=[each.name for each in ROOMS])
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, addresses: Callable[[Room], dict[str, str]]
) -> Iterator[Tried]:
    """Each room in turn."""
    here, folder = room(request.param), tmp_path_factory.mktemp(request.param)
    url = f"file://{folder}/store"
    with serving(here, url, folder, addresses(here)) as server:
        yield Tried(here, server, open_store(url))


def run_by_two(server: Server, action: Action) -> First:
    request = RunRequest(action=action, caller=Caller(job="contract", attempt="1"))
    with connect_sync(server.address) as channel:
        first = StageServiceStub(channel).Run(request, timeout=RUN_S)
        accepted = next(first)
        second = StageServiceStub(channel).Run(request, timeout=RUN_S)
        return First([accepted, *first], list(second))


def run(server: Server, action: Action) -> Result:
    with connect_sync(server.address) as channel:
        *_, last = StageServiceStub(channel).Run(RunRequest(action=action), timeout=RUN_S)
        return last.result


def test_it_says_that_it_serves(tried: Tried) -> None:
    assert is_serving(tried.server.address)
    assert is_serving(tried.server.address, SERVICE)


def test_reflection_lists_its_services(tried: Tried) -> None:
    with connect_sync(tried.server.address) as channel:
        assert SERVICE in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_it_describes_every_operation_that_is_tried_here(tried: Tried) -> None:
    with connect_sync(tried.server.address) as channel:
        found = versions(StageServiceStub(channel))
    assert set(found) == {work.name for work in tried.room.works}
    assert min(found.values()) >= 1


def test_the_example_gives_what_the_proto_documents(tried: Tried) -> None:
    for work in tried.room.works:
        first = tried.first(work)
        assert re.fullmatch(r"[0-9a-f]{64}", first.events[0].accepted.action_sha256)
        assert not first.events[0].accepted.joined
        assert first.result.status.code == 0, first.result.status.message
        assert not first.result.cached
        named = [*work.outputs, *work.maybe, "rejected"]
        for pattern in work.outputs:
            assert any(re.fullmatch(pattern, name) for name in first.result.outputs), f"{work.name} gave no {pattern}"
        for name, output in first.result.outputs.items():
            assert any(re.fullmatch(pattern, name) for pattern in named), f"{work.name} gave {name}, which nothing documents"
            assert output.kind
            assert output.media_type
            assert digest_of(tried.store.get(output.digest)) == output.digest
        assert bool(first.result.rejected) == ("rejected" in first.result.outputs)


def test_a_second_caller_joins_and_is_told_the_same(tried: Tried) -> None:
    for work in tried.room.works:
        first = tried.first(work)
        assert first.joined[0].accepted.joined, f"{work.name} was over before it could be joined"
        assert first.joined[-1].result == first.result


def test_the_same_action_is_answered_from_its_result_unless_it_reads_the_world(tried: Tried) -> None:
    for work in tried.room.works:
        first = tried.first(work)
        again = run(tried.server, tried.again(work))
        assert again.cached == work.cached
        assert again.outputs == first.result.outputs
        assert again.rejected == first.result.rejected


def test_killed_at_its_first_sign_of_life_and_started_again_it_gives_the_same_bytes(tried: Tried) -> None:
    for work in tried.room.works:
        first = tried.first(work)
        # Another salt is another action: nothing of the first run is reused.
        salted = tried.again(work, "killed")
        with connect_sync(tried.server.address) as channel:
            events = StageServiceStub(channel).Run(RunRequest(action=salted), timeout=RUN_S)
            next(event for event in events if not event.HasField("accepted"))
            tried.server.kill()
        tried.server.start()
        assert run(tried.server, salted).outputs == first.result.outputs


def test_params_of_another_stage_are_refused(tried: Tried) -> None:
    for work in tried.room.works:
        wrong = Action(stage=work.name, params=Any(type_url="type.googleapis.com/kyara.stage.v1.CancelRequest"))
        with pytest.raises(grpc.RpcError, match="kyara") as caught:
            run(tried.server, wrong)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_another_stages_name_is_refused(tried: Tried) -> None:
    with pytest.raises(grpc.RpcError, match="this server runs") as caught:
        run(tried.server, Action(stage="somebody.else"))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_missing_input_is_the_callers_mistake(tried: Tried) -> None:
    for work in tried.room.works:
        tried.first(work)
        action = tried.again(work)
        if not action.inputs:
            continue
        names = list(action.inputs)
        action.inputs.clear()
        result = run(tried.server, action)
        assert result.status.code == INVALID, result.status.message
        assert any(name.rstrip("0123456789_") in result.status.message for name in names)


def test_cancelling_what_does_not_run_is_fine(tried: Tried) -> None:
    with connect_sync(tried.server.address) as channel:
        StageServiceStub(channel).Cancel(CancelRequest(action_sha256="0" * 64))


def test_no_output_has_changed_without_a_new_version(tried: Tried) -> None:
    with connect_sync(tried.server.address) as channel:
        found = versions(StageServiceStub(channel))
    for work in tried.room.works:
        if work.golden:
            first = tried.first(work)
            new = entry_of(tried.actions[work.name], found[work.name], first.result)
            said = complaint(work.name, kept().get(work.name), new)
            assert said is None, said


def test_every_stage_server_of_the_tree_is_tried_here() -> None:
    services = Path(__file__).parents[2] / "services"
    assert {each.name for each in ROOMS} == {path.parents[2].name for path in services.glob("*/src/*/stage.py")}


def test_golden_outputs_are_kept_for_every_golden_operation_and_no_other() -> None:
    assert set(kept()) == {work.name for each in ROOMS for work in each.works if work.golden}
