"""Which models a stage's params ask for."""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from kyara_inference.catalogue import catalogue
from kyara_inference.own import is_own, own_digest


def digests_of(params: Message, models: Path | None = None) -> dict[str, str]:
    """Digest by name of every model that `params` name. A model that is not pinned has none, and is left out.

    What the user's own models are is read in the folder `models`. Raises UnknownModel, ModelMissing.
    """
    digests = {name: own_digest(name, models) if is_own(name) else catalogue()[name].digest for name in models_named(params)}
    return {name: digest for name, digest in digests.items() if digest}


def models_named(params: Message) -> Iterator[str]:
    """The values of all string fields called `model` or `{something}_model`, at any depth."""
    for field, value in params.ListFields():
        values = value if field.is_repeated else [value]
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for message in values:
                yield from models_named(message)
        elif field.name == "model" or field.name.endswith("_model"):
            yield from values
