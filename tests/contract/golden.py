"""Golden outputs: a stage's version must be bumped by hand when its output for the same input changes.

`golden.json` holds, by operation, its version, the digest of its example action and those of the outputs. Only operations
whose bytes are the same on every machine are in it: those that call no model and sum no floating-point numbers across
threads (`Work.golden`). `python -m tests.contract.golden` writes it anew, and refuses where an output changed and the
version did not.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from kyara.stage.v1.stage_pb2 import Action, DescribeRequest, Result, RunRequest
from kyara.stage.v1.stage_pb2_grpc import StageServiceStub
from kyara_artifacts import open_store
from kyara_rpc import connect_sync
from kyara_stage.operation import action_sha256
from tests.contract.rooms import ROOMS, Room, serving

FILE = Path(__file__).with_name("golden.json")
REWRITE = "python -m tests.contract.golden"
Entry = dict[str, Any]


def entry_of(action: Action, version: int, result: Result) -> Entry:
    """What is kept of a run."""
    versioned = Action()
    versioned.CopyFrom(action)
    versioned.stage_version = version
    outputs = {name: output.digest.sha256 for name, output in sorted(result.outputs.items())}
    return {"version": version, "action": action_sha256(versioned), "outputs": outputs}


def kept() -> dict[str, Entry]:
    """The entries of `golden.json`."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def complaint(name: str, old: Entry | None, new: Entry) -> str | None:
    """What must be done about a run that is not as it was, or None."""
    if old == new:
        return None
    if old is None or old["version"] != new["version"]:
        return f"{name}: golden.json holds no outputs of version {new['version']}; run `{REWRITE}`"
    if old["action"] != new["action"]:
        return f"{name}: its example, or what makes its example, has changed; run `{REWRITE}`"
    changed = sorted(key for key in {*old["outputs"], *new["outputs"]} if old["outputs"].get(key) != new["outputs"].get(key))
    return f"{name}: the outputs {', '.join(changed)} changed; bump the version of its Operation, then run `{REWRITE}`"


def versions(stub: StageServiceStub) -> dict[str, int]:
    """The operations that a server runs, and their versions."""
    return {each.stage: each.stage_version for each in stub.Describe(DescribeRequest()).operations}


def main() -> int:
    """Write `golden.json` anew; 1 when a version should have been bumped first."""
    before, after = kept(), {name: entry for room in ROOMS for name, entry in _entries(room).items()}
    unbumped = [said for name, entry in after.items() if (said := complaint(name, before.get(name), entry)) and "bump" in said]
    if unbumped:
        print("\n".join(unbumped), file=sys.stderr)
        return 1
    FILE.write_text(json.dumps(after, indent=2, sort_keys=True) + "\n")
    return 0


def _entries(room: Room) -> dict[str, Entry]:
    """What the room's golden operations give at this moment."""
    works = [work for work in room.works if work.golden]
    if not works:
        return {}
    # No golden operation calls another server, so any address will do.
    nowhere = dict.fromkeys(room.needs, "127.0.0.1:9")
    with tempfile.TemporaryDirectory() as folder:
        store = f"file://{folder}/store"
        with serving(room, store, Path(folder), nowhere) as server, connect_sync(server.address) as channel:
            stub = StageServiceStub(channel)
            actions = {work.name: work.action(open_store(store)) for work in works}
            return {name: entry_of(action, versions(stub)[name], _result(stub, action)) for name, action in actions.items()}


def _result(stub: StageServiceStub, action: Action) -> Result:
    *_, last = stub.Run(RunRequest(action=action))
    if last.result.status.code:
        raise RuntimeError(f"{action.stage}: {last.result.status.message}")
    return last.result


if __name__ == "__main__":
    sys.exit(main())
