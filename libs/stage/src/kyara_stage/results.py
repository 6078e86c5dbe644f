"""The result cache: what an action gave, kept in the store under the action's digest."""

import json

from google.protobuf import json_format

from kyara.stage.v1.stage_pb2 import Action, Result
from kyara_artifacts import Store, canonical_json


def keep_result(store: Store, sha256: str, action: Action, result: Result) -> None:
    """Keep a good result. Failures are never kept."""
    record = {
        "action": json_format.MessageToDict(action, preserving_proto_field_name=True),
        "result": json_format.MessageToDict(result, preserving_proto_field_name=True),
    }
    store.put_record(f"actions/{sha256}", canonical_json(record))


def kept_result(store: Store, sha256: str) -> Result | None:
    """The result kept for an action, when all that it points to is still in the store."""
    record = store.get_record(f"actions/{sha256}")
    if record is None:
        return None
    result = json_format.ParseDict(json.loads(record)["result"], Result())
    if not all(store.has(output.digest) for output in result.outputs.values()):
        return None
    result.cached = True
    return result
