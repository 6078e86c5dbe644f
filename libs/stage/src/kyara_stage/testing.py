"""Run a stage's function without a server, for tests of the function itself."""

import asyncio
import tempfile
from pathlib import Path

from google.protobuf.message import Message

from kyara.stage.v1.stage_pb2 import Action, RunResponse
from kyara_artifacts import Store
from kyara_stage.child import with_rejected
from kyara_stage.context import StageContext
from kyara_stage.errors import StageError
from kyara_stage.operation import Inputs, Operation, Outputs, action_sha256
from kyara_stage.settings import StageSettings


def run_operation(
    operation: Operation, params: Message, inputs: Inputs, store: Store, settings: StageSettings
) -> tuple[Outputs, list[dict[str, str]]]:
    """The outputs of an operation and what it set aside. Raises StageError, also where a server would refuse the action."""
    asked = Action(stage=operation.name, inputs=inputs)
    asked.params.Pack(params)
    try:
        action = operation.identified(asked, settings.models_folder)
    except ValueError as error:
        raise StageError.invalid(str(error)) from error
    events: list[RunResponse] = []
    with tempfile.TemporaryDirectory(prefix="kyara-") as scratch:
        ctx = StageContext(action_sha256(action), store, settings, Path(scratch), events.append)
        outputs = asyncio.run(_run(operation, ctx, params, inputs))
        return with_rejected(ctx, outputs), ctx.rejected


async def _run(operation: Operation, ctx: StageContext[StageSettings], params: Message, inputs: Inputs) -> Outputs:
    return await operation.run(ctx, params, operation.inputs_of(inputs))
