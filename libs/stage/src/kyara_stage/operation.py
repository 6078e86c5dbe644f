"""What a stage's module declares: one `Operation` for each kind of work that it does."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from kyara.stage.v1.stage_pb2 import Action, ArtifactRef
from kyara_artifacts import canonical_json, digest_of
from kyara_stage.errors import StageError

Inputs = dict[str, ArtifactRef]
Outputs = dict[str, ArtifactRef]


@dataclass(frozen=True)
class Operation:
    """One kind of work, run in a child process of the server."""

    name: str
    """`room` or `room.operation`, as in `Action.stage`."""
    version: int
    """Bumped by hand when the output for the same input changes."""
    params: type[Message]
    """The message that `Action.params` holds."""
    run: Callable[..., Awaitable[Outputs]]
    """`async def run(ctx, params, inputs) -> outputs`."""
    models: Callable[[Message, Path | None], Mapping[str, str]] = lambda params, models: {}
    """Digest by name of the models that `params` ask for; the folder is the settings' `models_folder`.

    Raises ValueError for one unknown, StageError for one whose bytes only the folder could tell.
    """
    cached: bool = True
    """False for work that reads the world, whose answer may differ next time."""

    def params_of(self, action: Action) -> Message:
        """The action's params. Raises ValueError when it holds another message."""
        params = self.params()
        if not action.params.Unpack(params):
            raise ValueError(f"{self.name} takes {params.DESCRIPTOR.full_name}, not {action.params.TypeName() or 'nothing'}")
        return params

    def identified(self, action: Action, models: Path | None = None) -> Action:
        """The action with all that tells it from others: this version, these models, which may lie in the folder `models`.

        Raises ValueError as `params_of`, and what `self.models` does.
        """
        whole = Action()
        whole.CopyFrom(action)
        whole.stage_version = self.version
        whole.models.clear()
        whole.models.update(self.models(self.params_of(action), models))
        return whole

    def inputs_of(self, inputs: Mapping[str, ArtifactRef]) -> Inputs:
        """The inputs for `run`, which is told INVALID_ARGUMENT when it looks for one that is not there."""
        return _Given(self.name, inputs)


class _Given(Inputs):
    """The inputs of an action; one that is missing is its caller's mistake and no KeyError."""

    def __init__(self, operation: str, inputs: Mapping[str, ArtifactRef]) -> None:
        super().__init__(inputs)
        self._operation = operation

    def __missing__(self, name: str) -> ArtifactRef:
        given = ", ".join(sorted(self)) or "none"
        raise StageError.invalid(f"{self._operation} needs the input {name!r}; given are: {given}")


def action_sha256(action: Action) -> str:
    """Digest of an action: over canonical JSON without default fields, never over wire bytes."""
    as_json: dict[str, Any] = json_format.MessageToDict(action, preserving_proto_field_name=True)
    return digest_of(canonical_json(as_json)).sha256
